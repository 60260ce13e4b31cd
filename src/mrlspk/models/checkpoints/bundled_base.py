"""Keep the base model of a head inside its checkpoint."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

import torch
from torch import Tensor

from mrlspk.config.architecture import BaseFile
from mrlspk.errors import CheckpointError
from mrlspk.models.checkpoints import schema
from mrlspk.models.checkpoints.state_dict_report import is_plain

LARGEST = 2**31 - 1  # bytes of a base model, as of an ONNX file
LARGEST_SETTINGS = 1 << 20  # characters of its YAML file
AS_WRITTEN = "Give the checkpoint as it was written."


@dataclass(frozen=True)
class BundledBase:
    """A base model as it is in a checkpoint.

    Attributes:
        content: Of its ONNX file.
        settings: Of the YAML file that describes it; None without one.
    """

    content: bytes
    settings: str | None

    def entry(self) -> dict[str, Any]:
        """Return the entry of a checkpoint."""
        return {"content": torch.frombuffer(bytearray(self.content), dtype=torch.uint8), "settings": self.settings}


def read_bundled_base(contents: Mapping[str, Any], base: BaseFile | None, path: Path) -> BundledBase | None:
    """Return the base model among a checkpoint's entries; None if it is not there.

    Raises:
        CheckpointError: If the entry is damaged, or is another model than the checkpoint names.
    """
    entry = contents.get(schema.BASE_MODEL)
    if entry is None:
        return None
    content, settings = (entry.get(key) if isinstance(entry, dict) else None for key in ("content", "settings"))
    if not _is_bytes(content) or not (settings is None or isinstance(settings, str)):
        problem = "expected the bytes of a file and the text that describes it"
    elif content.numel() > LARGEST or len(settings or "") > LARGEST_SETTINGS:
        problem = f"expected at most {LARGEST:,} bytes"
    else:
        data = content.numpy().tobytes()
        found = hashlib.sha256(data).hexdigest()
        if base is not None and base.sha256 == found:
            return BundledBase(data, settings)
        problem = f"expected the SHA-256 {base.sha256 if base else None}, got {found}"
    raise CheckpointError(f"its {schema.BASE_MODEL} is damaged: {problem}", path, AS_WRITTEN)


def _is_bytes(content: object) -> TypeGuard[Tensor]:
    return is_plain(content) and content.dtype == torch.uint8 and content.ndim == 1

"""Open an index with the model that its recordings are embedded by."""

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from mrlspk.cli.options import find_cache_folder, resolve_model

if TYPE_CHECKING:
    from mrlspk.index.voice_index import VoiceIndex
    from mrlspk.inference.speaker_encoder import SpeakerEncoder


def open_index(
    folder: Path, *, model: str | None = None, device: str = "auto", trust_code: bool = False, quiet: bool = False
) -> "VoiceIndex":
    """Return an index; its model is loaded once a recording is embedded.

    Args:
        folder: Of the index.
        model: Path or name; None for the one that the index names.
        device: Of ``--device``.
        trust_code: Of ``--trust-code``.
        quiet: Draw no progress of a download.

    Raises:
        MrlspkError: If the folder is no index.
    """
    from mrlspk.index.voice_index import VoiceIndex

    return VoiceIndex.open(folder, model, load=encoder_loader(device=device, trust_code=trust_code, quiet=quiet))


def encoder_loader(*, device: str, trust_code: bool, quiet: bool) -> "Callable[[str], SpeakerEncoder]":
    """Return a function that loads the encoder of a path or name as every command does."""

    def load(model: str) -> "SpeakerEncoder":
        from mrlspk.inference.backend_registry import load_backend
        from mrlspk.inference.speaker_encoder import SpeakerEncoder

        file = resolve_model(model, quiet=quiet, trust_code=trust_code)
        return SpeakerEncoder(load_backend(file, device=device, cache_dir=find_cache_folder()).backend)

    return load


def typed(command: str, folder: Path) -> str:
    """Return a command on an index, to copy."""
    return f"mrlspk index {command} {shlex.quote(str(folder))}"

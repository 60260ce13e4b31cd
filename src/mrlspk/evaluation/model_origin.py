"""What a model came from: its embedding as it was before it was turned, cut or trained."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError
from torch import Tensor

from mrlspk.config import Config
from mrlspk.errors import CheckpointError, UsageError
from mrlspk.files import file_sha256
from mrlspk.inference.loading import load_located
from mrlspk.inference.locate import locate_model
from mrlspk.models.checkpoints import LoadedModel, schema
from mrlspk.models.encoder import Encoder
from mrlspk.models.folding import AffineMap, head_of
from mrlspk.models.head import MatryoshkaHead
from mrlspk.rotation.closed_form import read_rotation

log = logging.getLogger("mrlspk.evaluation")

OF_A_RUN = schema.PROGRESS, schema.VALIDATION, schema.CARD  # a trained checkpoint has one of them, converted too
AS_WRITTEN = "Give the checkpoint as it was written, or leave --baselines out."
LEAVE_OUT = "Leave --baselines out: there is nothing to hold it against."


@dataclass(frozen=True, eq=False)
class Origin:
    """What a model came from.

    Attributes:
        encoder: In evaluation mode; gives the embedding before it was turned.
        turn: (embed_dim, embed_dim), the rotation of that embedding; None where there was none.
    """

    encoder: Encoder
    turn: NDArray[np.float64] | None


def find_origin(loaded: LoadedModel, path: Path, *, cache_dir: Path | None, mirror: str | None) -> Origin:
    """Return what the model in ``path`` came from, one step back.

    A checkpoint whose head alone was trained holds the head before. A model that was turned and not trained is turned
    back. A model of one width that no run of ours wrote is its own origin. Any other checkpoint names the file that
    its run started from.

    Args:
        loaded: The model.
        path: Its file.
        cache_dir: Folder of fetched models; None: none can be fetched.
        mirror: URL or folder with copies of the published files.

    Raises:
        CheckpointError: If the checkpoint does not say, is damaged, or names a file that is not there or has changed.
        DownloadError: If it names a published model that cannot be fetched.
        UsageError: If it names a file and there is no ``cache_dir``.
    """
    contents, encoder = loaded.contents, loaded.encoder
    turn = read_rotation(contents[schema.ROTATION], path).matrix if schema.ROTATION in contents else None
    if schema.OWN_HEAD in contents:
        head = _own_head(contents[schema.OWN_HEAD], encoder.pooled_dim, path)
        own = encoder.with_head(head, (head.linear.out_features,)).eval()
    elif turn is not None and _is_turned_only(contents):
        _check_turn(turn, encoder, path)
        own = encoder.rotated(turn.T, encoder.dims).eval()
    elif len(encoder.dims) == 1 and loaded.config is None:
        own = encoder
    else:
        own = _load_base(loaded, path, cache_dir=cache_dir, mirror=mirror)
    _check_turn(turn, own, path)
    return Origin(own, turn)


def _is_turned_only(contents: dict[str, Any]) -> bool:
    """Return whether a model that was turned is as `mrlspk rotate` wrote it, not trained since."""
    source = contents.get(schema.CONVERTED_FROM)
    adapted = isinstance(source, dict) and "adapter_sha256" in source
    return not adapted and not any(entry in contents for entry in OF_A_RUN)


def _own_head(entry: Any, in_features: int, path: Path) -> MatryoshkaHead:
    """Return the head that a checkpoint holds beside its own.

    Raises:
        CheckpointError: If it is none for ``in_features`` pooled values.
    """
    weight, bias = (entry.get(key) if isinstance(entry, dict) else None for key in ("weight", "bias"))
    if not (isinstance(weight, Tensor) and isinstance(bias, Tensor)):
        problem = "expected a weight and a bias"
    elif weight.ndim != 2 or not len(weight) or weight.shape[1] != in_features or bias.shape != weight.shape[:1]:
        shapes = f"{tuple(weight.shape)} and {tuple(bias.shape)}"
        problem = f"a weight and a bias of shapes {shapes} do not fit {in_features} pooled values"
    elif not all(each.is_floating_point() and each.isfinite().all() for each in (weight, bias)):
        problem = "it holds what is no number"
    else:
        return head_of(AffineMap(weight.double(), bias.double()))
    raise CheckpointError(f"its {schema.OWN_HEAD} is damaged: {problem}", path, AS_WRITTEN)


def _check_turn(turn: NDArray[np.float64] | None, own: Encoder, path: Path) -> None:
    if turn is not None and len(turn) != own.embed_dim:
        raise CheckpointError(
            f"its rotation is of {len(turn)} values, and the embedding before has {own.embed_dim}", path, AS_WRITTEN
        )


def _load_base(loaded: LoadedModel, path: Path, *, cache_dir: Path | None, mirror: str | None) -> Encoder:
    """Return the model that a run started from, out of the file that its checkpoint names."""
    name, sha256 = _named_base(loaded, path)
    if cache_dir is None:
        raise UsageError(f"{path} was trained from {name}, and there is no folder of fetched models", "cache_dir")
    try:
        file = locate_model(name, cache_dir=cache_dir, mirror=mirror)
    except CheckpointError as error:
        raise CheckpointError(
            f"it was trained from {name}, which is not to be had: {error.what}",
            path,
            "Bring that file back to where it was, seen from this folder, or leave --baselines out.",
        ) from error
    if sha256 is None:
        log.warning("%s: it does not say which file %s was: the one that is there now is taken", path, name)
    elif (found := file_sha256(file.path)) != sha256:
        raise CheckpointError(
            f"it was trained from {name} of SHA-256 {sha256}, and {file.path} is now another file ({found})",
            path,
            "Bring that file back, or leave --baselines out.",
        )
    return load_located(file).encoder


def _named_base(loaded: LoadedModel, path: Path) -> tuple[str, str | None]:
    """Return the name or path of the file that a run started from, and its SHA-256 if that is known.

    Raises:
        CheckpointError: If there was none, or the checkpoint does not say which.
    """
    if loaded.config is None:
        raise CheckpointError(
            f"it says nothing of what it came from: no {schema.OWN_HEAD}, no {schema.ROTATION} that was not trained "
            "since, and no configuration of a run",
            path,
            "Give the checkpoint that `mrlspk train` or `mrlspk rotate` wrote, or leave --baselines out.",
        )
    try:
        config = Config.model_validate(loaded.config)
    except ValidationError as error:
        problem = f"its configuration cannot be used: {error.errors()[0]['msg']}"
        raise CheckpointError(problem, path, AS_WRITTEN) from error
    pretrained = config.model.pretrained
    if not pretrained.use_pretrained:
        raise CheckpointError("it was trained from random weights: no model came before it", path, LEAVE_OUT)
    if config.head.start == "random":
        problem = f"its head began from random weights, and the file has lost what it was then ({schema.OWN_HEAD})"
        raise CheckpointError(problem, path, AS_WRITTEN)
    name = str(pretrained.pretrained_checkpoint or pretrained.published_name)
    return name, _base_sha256(loaded.contents.get(schema.CARD), path)


def _base_sha256(card: Any, path: Path) -> str | None:
    """Return the SHA-256 that a checkpoint's card has of the file that training started from.

    Raises:
        CheckpointError: If the card is damaged.
    """
    if card is None:
        return None
    base = card.get("base") if isinstance(card, dict) else None
    sha256 = base.get("sha256", "") if isinstance(base, dict) else ""
    if sha256 is not None and not (isinstance(sha256, str) and sha256):
        raise CheckpointError("its card does not say what it was trained from", path, AS_WRITTEN)
    return sha256

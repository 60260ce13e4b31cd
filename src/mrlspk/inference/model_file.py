"""Where the model is that a path or a name means, and what its file must be."""

import difflib
from dataclasses import dataclass
from pathlib import Path

from mrlspk.errors import CheckpointError, DownloadError
from mrlspk.files import OnProgress
from mrlspk.pretrained.fetch import FetchedModel, fetch_model
from mrlspk.pretrained.own_models import OwnModel, find_own_model, list_own_models, verified_path
from mrlspk.pretrained.registry import PublishedModel, find_model, is_published, list_models


@dataclass(frozen=True)
class ModelFile:
    """A checkpoint file, and how it was asked for.

    Attributes:
        path: Where it is.
        typed: The path or name that was asked for.
        published: What the registry says of it; None where it was not asked for by a published name.
        own: What the zoo says of it; None where it was not asked for by a name of one's own.
    """

    path: Path
    typed: str
    published: PublishedModel | None = None
    own: OwnModel | None = None


def locate_model(
    model: str, *, cache_dir: Path, mirror: str | None = None, on_progress: OnProgress | None = None
) -> ModelFile:
    """Return the checkpoint file that a path or a name means; a published model is fetched at its first use.

    A file of that path comes first, then a published name, then one of the zoo; the last two are verified each time.

    Raises:
        CheckpointError: If there is no such file, if it is an exported model, which cannot be read, or if the entry of
            the zoo is damaged.
        DownloadError: If a published model is not there and cannot be fetched.
    """
    path = Path(model)
    if not _is_file(path):
        return _by_name(model, cache_dir, mirror, on_progress)
    if path.suffix == ".onnx":
        raise CheckpointError(
            "an exported .onnx model cannot be used yet", path, "Give the checkpoint that it was exported from."
        )
    return ModelFile(path, model)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # such as a name too long for the file system, so that no file can have it
        return False


def _by_name(name: str, cache_dir: Path, mirror: str | None, on_progress: OnProgress | None) -> ModelFile:
    if is_published(name):
        return ModelFile(_fetch(name, cache_dir, mirror, on_progress).path, name, published=find_model(name))
    if own := find_own_model(name, cache_dir):
        return ModelFile(verified_path(own, cache_dir), name, own=own)
    names = [*(known.name for known in list_models()), *(own.name for own in list_own_models(cache_dir).models)]
    nearest = difflib.get_close_matches(name, names, 1, 0.7)
    guess = f"Did you mean {nearest[0]}? " if nearest else "Check the path; "
    raise CheckpointError(
        "no such checkpoint file, and no published model of this name",
        name,
        f"{guess}`mrlspk pretrained list` shows the names.",
    )


def _fetch(name: str, cache_dir: Path, mirror: str | None, on_progress: OnProgress | None) -> FetchedModel:
    try:
        return fetch_model(name, cache_dir=cache_dir, mirror=mirror, on_progress=on_progress)
    except DownloadError as error:
        fix = f"Where there is a network, type: mrlspk pretrained fetch {name}"
        raise DownloadError(error.what, error.where, f"{error.fix}\n{fix}" if error.fix else fix) from error

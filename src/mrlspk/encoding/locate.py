"""Where the model is that a path or a published name means."""

from pathlib import Path

from mrlspk.errors import CheckpointError, DownloadError
from mrlspk.pretrained.fetch import fetch_model
from mrlspk.pretrained.registry import is_published


def locate_model(model: str, *, cache_dir: Path, mirror: str | None = None) -> Path:
    """Return the checkpoint file; a published model is fetched at its first use.

    Raises:
        CheckpointError: If there is no such file, or if it is an exported model, which cannot be read.
        DownloadError: If a published model is not there and cannot be fetched.
    """
    path = Path(model)
    if path.suffix == ".onnx":
        raise CheckpointError(
            "an exported .onnx model cannot be used yet", path, "Give the checkpoint that it was exported from."
        )
    if not path.exists() and is_published(model):
        return _fetch(model, cache_dir, mirror)
    if not path.is_file():
        raise CheckpointError(
            "no such checkpoint file, and no published model of this name",
            model,
            "Check the path; `mrlspk pretrained list` shows the names.",
        )
    return path


def _fetch(name: str, cache_dir: Path, mirror: str | None) -> Path:
    try:
        return fetch_model(name, cache_dir=cache_dir, mirror=mirror).path
    except DownloadError as error:
        fix = f"Where there is a network, type: mrlspk pretrained fetch {name}"
        raise DownloadError(error.what, error.where, f"{error.fix}\n{fix}" if error.fix else fix) from error

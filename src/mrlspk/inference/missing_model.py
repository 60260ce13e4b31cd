"""Explain that there is no such model file, and name the one that was probably meant."""

import difflib
import shlex
from collections.abc import Iterable
from pathlib import Path

from mrlspk.errors import CheckpointError
from mrlspk.inference.default_model import RUNS
from mrlspk.pretrained.cache_folder import shown
from mrlspk.pretrained.similar_names import MOST, did_you_mean, similar_names

SUFFIXES = ".pt", ".pth", ".ckpt", ".bin", ".safetensors", ".onnx", ".npz", ".ts", ".jit", ".xml"


def is_path(typed: str) -> bool:
    """Whether ``typed`` is a path rather than a name: in another folder, or with the suffix of a model file."""
    path = Path(typed)
    return path.parent != Path() or path.suffix.lower() in SUFFIXES


def missing_model(typed: str, names: Iterable[str] = ()) -> CheckpointError:
    """Return the error about a path or name that is no model.

    Args:
        typed: Path or name.
        names: Names of all models.
    """
    path, found = Path(typed), tuple[object, ...]()
    if not typed:
        return CheckpointError("expected the path or name of a model, got an empty text", fix="Name a model.")
    if "://" in typed:
        fix = f"Type: mrlspk pretrained fetch {shlex.quote(shown(typed))}, and give the path that it shows."
        return CheckpointError("is an address, expected a path or a name", shown(typed), fix)
    try:
        if path.is_dir():
            what, found = "is a folder, expected a model file", (*_models_in(path),)
        elif not is_path(typed):
            what, found = "no such model file, and no published model of this name", similar_names(typed, names)
        elif path.parent.is_dir():
            what, found = "no such model file", (*_similar_files(path),)
        else:
            what = f"no such model file: there is no folder {path.parent}"
    except OSError:  # such as a name too long for the file system
        what = "no such model file"
    guess = did_you_mean(found) or "Check the path; "
    return CheckpointError(what, typed, f"{guess}`mrlspk pretrained list` shows the names of models.")


def _models_in(folder: Path) -> list[Path]:
    """Return the models in a folder: of a run its best checkpoint, of a folder of runs those of the newest."""
    best = folder / "best.pt"
    if best.is_file():
        return [best]
    return _newest(folder.glob("*/best.pt")) or sorted(filter(_is_model, folder.iterdir()))[:MOST]


def _similar_files(path: Path) -> list[Path]:
    """Return files of a similar name in the same folder, else those of the same name in the newest runs."""
    siblings = {each.name.lower(): each for each in path.parent.iterdir() if _is_model(each)}
    near = difflib.get_close_matches(path.name.lower(), siblings, MOST, 0.7)
    return [siblings[name] for name in near] or _newest(RUNS.glob(f"*/{path.name}") if path.parent == Path() else ())


def _is_model(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES


def _newest(paths: Iterable[Path]) -> list[Path]:
    return sorted(paths, key=lambda path: path.stat().st_mtime, reverse=True)[:MOST]

"""Write a report folder: the page, its data as JSON and as CSV files, all or nothing."""

import importlib.util
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mrlspk.errors import MissingDependencyError, MrlspkError
from mrlspk.evaluation.report.tables import CSV_FILES, csv_files
from mrlspk.files import whole_folder
from mrlspk.partial_files import write_errors

PAGE, DATA = "index.html", "report.json"
_NEEDED = {"jinja2": "Jinja2", "matplotlib": "Matplotlib"}


def check_report(folder: Path, *, force: bool) -> None:
    """Check before any work that `write_report` can write a report.

    Raises:
        MissingDependencyError: If a package for drawing is not installed.
        MrlspkError: If the folder contains a report and ``force`` is false, or other files, or cannot be created or
            replaced.
    """
    missing = [title for module, title in _NEEDED.items() if importlib.util.find_spec(module) is None]
    if missing:
        raise MissingDependencyError(
            f"a report needs {' and '.join(missing)}", fix="Type: pip install 'mrlspk[report]'"
        )
    with write_errors(folder):
        place = Path(os.path.realpath(folder))
        nearest = next(parent for parent in place.parents if parent.exists(follow_symlinks=False))
        if not nearest.is_dir():
            raise MrlspkError(f"{nearest} is in the way", folder, "Give another folder.")
        for each in (nearest, place):
            if each.is_dir() and not os.access(each, os.W_OK | os.X_OK):
                raise MrlspkError(f"{each} cannot be written", folder, "Give another folder.")
        if place.exists(follow_symlinks=False):
            _check_contents(place, folder, force=force)


def write_report(document: Mapping[str, Any], folder: Path, *, force: bool = False) -> None:
    """Write the report of a document of a command with one: the page, ``report.json`` and the CSV files.

    The files are written into ``folder.partial``, which becomes ``folder`` then. An empty folder is accepted; with
    ``force`` an earlier report is replaced as a whole.

    Raises:
        MissingDependencyError: If a package for drawing is not installed.
        MrlspkError: If the folder contains a report and ``force`` is false, or other files, or cannot be written.
    """
    check_report(folder, force=force)
    from mrlspk.evaluation.report.page import render_page

    data = json.dumps(document, indent=2, allow_nan=False)
    plain = json.loads(data)  # page and tables use the values of the file
    texts = {PAGE: render_page(plain), DATA: data + "\n", **csv_files(plain)}
    with whole_folder(folder, force=force) as partial:
        for name, text in texts.items():
            # Half of a surrogate pair, which a name of a file can hold, has no other way into a file.
            with (partial / name).open("w", encoding="utf-8", errors="backslashreplace", newline="\n") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())


def _check_contents(place: Path, folder: Path, *, force: bool) -> None:
    """Check that what is at the place of the report can be replaced."""
    if not place.is_dir():
        raise MrlspkError("is not a folder", folder, "Give another name.")
    if place.is_mount() or place == Path.cwd():
        raise MrlspkError("is a mount point or the working directory", folder, "Give a folder inside it.")
    names = {path.name for path in place.iterdir()}
    if names - {PAGE, DATA, *CSV_FILES}:
        raise MrlspkError("contains other files than a report", folder, "Give an empty folder.")
    if names and not force:
        read = f"To read it, open {folder / PAGE}. " if PAGE in names else ""
        raise MrlspkError("exists", folder, f"{read}Give another name, or replace the report with `force`.")

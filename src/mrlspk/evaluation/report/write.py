"""Write a report folder: the page, its data as JSON and as CSV files, all or nothing."""

import importlib.util
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mrlspk.errors import MissingDependencyError, MrlspkError
from mrlspk.evaluation.report.tables import csv_files
from mrlspk.files import whole_file

PAGE, DATA = "index.html", "report.json"
TABLES = ("results.csv", "comparison.csv", "durations.csv", "breakdown.csv", "speakers.csv", "errors.csv")
FILES = (DATA, *TABLES, PAGE)  # the page is moved last: if it exists, the report is complete
_NEW, _EARLIER = ".new", ".earlier"  # suffixes of the new report and of the one it replaces
_NEEDED = {"jinja2": "Jinja2", "matplotlib": "Matplotlib"}


def check_report(folder: Path, *, force: bool) -> None:
    """Check before any work that `write_report` can write a report.

    Raises:
        MissingDependencyError: If a package for drawing is not installed.
        MrlspkError: If the folder contains a report and ``force`` is false, or other files, or cannot be created.
    """
    missing = [title for module, title in _NEEDED.items() if importlib.util.find_spec(module) is None]
    if missing:
        raise MissingDependencyError(
            f"a report needs {' and '.join(missing)}", fix="Type: pip install 'mrlspk[report]'"
        )
    try:
        _check_folder(folder, force=force)
    except OSError as error:
        raise MrlspkError(f"cannot be written: {error.strerror}", folder, "Give another folder.") from error


def write_report(document: Mapping[str, Any], folder: Path, *, force: bool = False) -> None:
    """Write the report of a document of ``eval`` or ``compare``: the page, ``report.json`` and the CSV files.

    Everything is prepared first and moved into place then. An empty folder is accepted; with ``force`` an earlier
    report is replaced. An existing folder is kept, because it may be a mount point or the working directory of a shell.

    Raises:
        MissingDependencyError: If a package for drawing is not installed.
        MrlspkError: If the folder contains a report and ``force`` is false, or other files, or cannot be written.
    """
    check_report(folder, force=force)
    from mrlspk.evaluation.report.page import render_page

    data = json.dumps(document, indent=2, allow_nan=False)
    plain = json.loads(data)  # page and tables use the values of the file
    texts = {PAGE: render_page(plain), DATA: data + "\n", **csv_files(plain)}
    try:
        if folder.exists():
            _fill(folder.resolve(), texts)
        else:
            _make(folder.resolve(), texts)
    except OSError as error:
        raise MrlspkError(
            f"cannot be written: {error.strerror or error}", folder, "Give a folder that can be written and has room."
        ) from error


def _check_folder(folder: Path, *, force: bool) -> None:
    if not folder.exists(follow_symlinks=False):
        nearest = next(parent for parent in folder.absolute().parents if parent.exists())
        if not nearest.is_dir():
            raise MrlspkError(f"{nearest} is in the way", folder, "Give another folder.")
        _check_access(nearest, folder)
        return
    if not folder.is_dir():
        raise MrlspkError("is not a folder", folder, "Give another name.")
    _check_access(folder, folder)
    names = {path.name for path in folder.iterdir() if not _left_over(path)}
    if names - set(FILES):
        raise MrlspkError("contains other files than a report", folder, "Give an empty folder.")
    earlier = any(any(path.iterdir()) for path in folder.glob(f"{_EARLIER}*.partial"))  # of a write that was killed
    if (names or earlier) and not force:
        raise MrlspkError("exists", folder, "Give another name, or replace the report with `force`.")


def _write_texts(texts: Mapping[str, str], folder: Path) -> None:
    for name, text in texts.items():
        with whole_file(folder / name, force=True) as partial:
            # Half of a surrogate pair, which a name of a file can hold, has no other way into a file.
            partial.write_text(text, encoding="utf-8", errors="backslashreplace", newline="\n")


def _make(place: Path, texts: Mapping[str, str]) -> None:
    """Write the files into a folder beside it and rename that."""
    new = place.with_name(f".{place.name}{_suffix()}")
    try:
        _write_texts(texts, new)
        new.rename(place)
    finally:
        if new.exists():
            shutil.rmtree(new)


def _fill(place: Path, texts: Mapping[str, str]) -> None:
    """Write the files into a folder inside, move an earlier report away, and move the files into place."""
    new, earlier = place / f"{_NEW}{_suffix()}", place / f"{_EARLIER}{_suffix()}"
    try:
        _write_texts(texts, new)
        earlier.mkdir()
        try:
            _move_files(place, earlier)
            _move_files(new, place)
        except OSError:
            _move_files(earlier, place)
            earlier.rmdir()
            raise
        for path in filter(_left_over, list(place.iterdir())):
            shutil.rmtree(path)
    finally:
        if new.exists():
            shutil.rmtree(new)


def _move_files(source: Path, target: Path) -> None:
    """Move the files of a report; if one fails, move back those before it."""
    moved = []
    try:
        for name in FILES:
            if (source / name).exists():
                (source / name).rename(target / name)
                moved.append(name)
    except OSError:
        for name in moved:
            (target / name).rename(source / name)
        raise


def _suffix() -> str:
    return f".{os.getpid()}.partial"


def _left_over(path: Path) -> bool:
    """Return whether a write that was killed has left it."""
    return path.name.startswith((_NEW, _EARLIER)) and path.name.endswith(".partial")


def _check_access(folder: Path, report: Path) -> None:
    if not os.access(folder, os.W_OK | os.X_OK):
        raise MrlspkError(f"{folder} cannot be written", report, "Give another folder.")

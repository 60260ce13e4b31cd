"""Reports as folders: the page, its data as JSON and as CSV, whole or not at all."""

import importlib.util
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mrlspk.errors import MissingDependencyError, MrlspkError
from mrlspk.files import whole_file

PAGE, DATA = "index.html", "report.json"
TABLES = ("results.csv", "comparison.csv", "durations.csv", "breakdown.csv", "speakers.csv", "errors.csv")
FILES = (DATA, *TABLES, PAGE)  # the page last: where it is, the others are
_NEW, _EARLIER = ".new", ".earlier"  # what is being written, and what made room for it
_NEEDED = {"jinja2": "Jinja2", "matplotlib": "Matplotlib"}


def check_report(folder: Path, *, force: bool) -> None:
    """Refuse, before any work, a report that `write_report` could not write.

    Raises:
        MissingDependencyError: If a package that draws it is not installed.
        MrlspkError: If the folder holds a report and ``force`` is false, or anything else, or cannot be made.
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

    All of it is made first and put in its place then. An empty folder is free; with ``force`` an earlier report is
    replaced. A folder that is there stays the same one, for it may be mounted, or a shell may stand in it.

    Raises:
        MissingDependencyError: If a package that draws it is not installed.
        MrlspkError: If the folder holds a report and ``force`` is false, or anything else, or cannot be written.
    """
    check_report(folder, force=force)
    from mrlspk.evaluation.report.page import render_page
    from mrlspk.evaluation.report.tables import csv_files

    data = json.dumps(document, indent=2, allow_nan=False)
    plain = json.loads(data)  # so that page and tables are made from what the file holds
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
        raise MrlspkError("is no folder", folder, "Give another name.")
    _check_access(folder, folder)
    names = {path.name for path in folder.iterdir() if not _left_over(path)}
    if names - set(FILES):
        raise MrlspkError("holds other files than a report", folder, "Give the report a folder of its own.")
    earlier = any(any(path.iterdir()) for path in folder.glob(f"{_EARLIER}*.partial"))  # of a write that was killed
    if (names or earlier) and not force:
        raise MrlspkError("exists", folder, "Give another name, or --force to replace the report.")


def _write_texts(texts: Mapping[str, str], folder: Path) -> None:
    for name, text in texts.items():
        with whole_file(folder / name) as partial:
            # Half of a surrogate pair, which a name of a file can hold, has no other way into a file.
            partial.write_text(text, encoding="utf-8", errors="backslashreplace", newline="\n")


def _make(place: Path, texts: Mapping[str, str]) -> None:
    """Write the files into a folder beside, and give it its name."""
    new = place.with_name(f".{place.name}{_suffix()}")
    try:
        _write_texts(texts, new)
        new.rename(place)
    finally:
        if new.exists():
            shutil.rmtree(new)


def _fill(place: Path, texts: Mapping[str, str]) -> None:
    """Write the files into a folder within, and move them out of it; those of an earlier report make room first."""
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
    """Move the files of a report that are there; where one cannot be, those before it come back."""
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

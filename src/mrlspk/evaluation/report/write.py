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

    All of it is made in a folder beside, which then takes the place of ``folder``. An empty folder is free; with
    ``force`` an earlier report is replaced.

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
    place = folder.resolve()
    partial = place.with_name(f".{place.name}.{os.getpid()}.partial")
    try:
        try:
            _write_texts(texts, partial)
            _put_in_place(partial, place)
        finally:
            if partial.exists():
                shutil.rmtree(partial)
    except OSError as error:
        raise MrlspkError(
            f"cannot be written: {error.strerror or error}", folder, "Give a folder that can be written and has room."
        ) from error


def _check_folder(folder: Path, *, force: bool) -> None:
    if not folder.exists(follow_symlinks=False):
        nearest = next(parent for parent in folder.absolute().parents if parent.exists())
        if not nearest.is_dir():
            raise MrlspkError(f"{nearest} is in the way", folder, "Give another folder.")
        return
    if not folder.is_dir():
        raise MrlspkError("is no folder", folder, "Give another name.")
    names = {path.name for path in folder.iterdir()}
    if names - {PAGE, DATA, *TABLES}:
        raise MrlspkError("holds other files than a report", folder, "Give the report a folder of its own.")
    if names and not force:
        raise MrlspkError("exists", folder, "Give another name, or --force to replace the report.")


def _write_texts(texts: Mapping[str, str], folder: Path) -> None:
    for name, text in texts.items():
        with whole_file(folder / name) as partial:
            # Half of a surrogate pair, which a name of a file can hold, has no other way into a file.
            partial.write_text(text, encoding="utf-8", errors="backslashreplace", newline="\n")


def _put_in_place(partial: Path, place: Path) -> None:
    """Rename ``partial`` to ``place``; an earlier report is set aside first, and comes back if that fails."""
    earlier = place.with_name(f".{place.name}.{os.getpid()}.earlier.partial")
    if not place.exists():
        partial.rename(place)
        return
    place.rename(earlier)
    try:
        partial.rename(place)
    except OSError:
        earlier.rename(place)
        raise
    shutil.rmtree(earlier)

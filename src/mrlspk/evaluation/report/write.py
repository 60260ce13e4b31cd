"""Write a report folder: the page, its data as JSON and as CSV files, all or nothing."""

import csv
import importlib.util
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from io import StringIO
from pathlib import Path
from typing import Any

from mrlspk.errors import MissingDependencyError, MrlspkError
from mrlspk.files import whole_file

PAGE, DATA = "index.html", "report.json"
TABLES = ("results.csv", "comparison.csv", "durations.csv", "breakdown.csv", "speakers.csv", "errors.csv")
FILES = (DATA, *TABLES, PAGE)  # the page is moved last: if it exists, the report is complete
_NEW, _EARLIER = ".new", ".earlier"  # suffixes of the new report and of the one it replaces
_NEEDED = {"jinja2": "Jinja2", "matplotlib": "Matplotlib"}
# Lists inside a row of results, and the key of their items.
_KEYED = {"dcf": "p_target", "false_accepts": "p_fa"}
_NESTED = ("mcnemar", "signs")  # null where there are none
type Row = dict[str, object]


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


def csv_files(document: Mapping[str, Any]) -> dict[str, str]:
    """Return the text of each CSV file by name; an empty kind is absent."""
    kinds = _compare_rows if document["command"] == "compare" else _eval_rows
    tables = {name: list(rows) for name, rows in kinds(document["trials"]).items()}
    return {f"{name}.csv": _csv_text(rows) for name, rows in tables.items() if rows}


def flat(values: Mapping[str, Any]) -> Row:
    """Return a mapping as one row: an interval as two columns, keyed items under ``name@key``."""
    row: Row = {}
    for name, value in values.items():
        if name in _KEYED:
            for item in value:
                row |= _keyed(name, item, item[_KEYED[name]])
        elif name.endswith("_ci"):
            low, high = value or (None, None)
            row |= {name.replace("_ci", "_low"): low, name.replace("_ci", "_high"): high}
        elif isinstance(value, Mapping):
            row |= {f"{name}_{inner}": each for inner, each in flat(value).items()}
        elif not isinstance(value, list) and name not in _NESTED:
            row[name] = value
    return row


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


def _keyed(name: str, item: Mapping[str, Any], key: float) -> Row:
    rest = {inner: value for inner, value in item.items() if inner != _KEYED[name]}
    place = f"@{key:g}" if name == "dcf" else f"_at_fa@{key:g}"
    return {f"{inner}{place}": value for inner, value in flat(rest).items()}


def _of_list(trials: Mapping[str, Any]) -> Row:
    """Return the columns that name the list of a row."""
    official = trials.get("official")
    row: Row = {"trials": trials["path"], "sha256": trials["sha256"], "official": official and official["name"]}
    enrolments = trials.get("enrolments_sha256")
    return row | ({"enrolments_sha256": enrolments} if enrolments else {})


def _eval_rows(lists: Sequence[Mapping[str, Any]]) -> dict[str, Iterator[Row]]:
    return {
        "results": _results(lists),
        "baselines": _nested(lists, "baselines"),
        "durations": _nested(lists, "durations"),
        "breakdown": _breakdown(lists),
        "speakers": _worst_speakers(lists),
        "errors": _errors(lists),
    }


def _results(lists: Sequence[Mapping[str, Any]]) -> Iterator[Row]:
    sizes = ("n_target", "n_nontarget", "n_speakers", "n_utterances")
    for trials in lists:
        for result in trials["results"]:
            yield _of_list(trials) | {name: trials[name] for name in sizes if name in trials} | flat(result)


def _nested(lists: Sequence[Mapping[str, Any]], key: str) -> Iterator[Row]:
    for trials in lists:
        for group in trials.get(key) or ():
            for result in group["results"]:
                yield _of_list(trials) | flat(group) | flat(result)


def _breakdown(lists: Sequence[Mapping[str, Any]]) -> Iterator[Row]:
    for trials in lists:
        for column in trials.get("breakdown") or ():
            for group in column["groups"]:
                for result in group["results"]:
                    yield _of_list(trials) | {"column": column["column"]} | flat(group) | flat(result)


def _worst_speakers(lists: Sequence[Mapping[str, Any]]) -> Iterator[Row]:
    for trials in lists:
        worst = trials.get("worst_speakers") or {"speakers": ()}
        for speaker in worst["speakers"]:
            yield _of_list(trials) | {"dim": worst["dim"]} | flat(speaker)


def _errors(lists: Sequence[Mapping[str, Any]]) -> Iterator[Row]:
    for trials in lists:
        errors = trials.get("errors") or {}
        for kind, key in (("false accept", "false_accepts"), ("miss", "misses")):
            for error in errors.get(key, ()):
                yield _of_list(trials) | {"dim": errors["dim"], "error": kind} | flat(error)


def _compare_rows(lists: Sequence[Mapping[str, Any]]) -> dict[str, Iterator[Row]]:
    return {"results": _models(lists), "comparison": _pairs(lists), "speakers": _speaker_differences(lists)}


def _models(lists: Sequence[Mapping[str, Any]]) -> Iterator[Row]:
    for trials in lists:
        for result in trials["results"]:
            for model in result["models"]:
                yield _of_list(trials) | {"dim": result["dim"]} | flat(model)


def _pairs(lists: Sequence[Mapping[str, Any]]) -> Iterator[Row]:
    for trials in lists:
        for result in trials["results"]:
            for pair in result["pairs"]:
                yield _of_list(trials) | {"dim": result["dim"], "winner": result["winner"]} | flat(pair)


def _speaker_differences(lists: Sequence[Mapping[str, Any]]) -> Iterator[Row]:
    for trials in lists:
        for result in trials["results"]:
            for pair in result["pairs"]:
                for speaker in pair.get("speakers") or ():
                    yield _of_list(trials) | {"dim": result["dim"], "a": pair["a"], "b": pair["b"]} | flat(speaker)


def _csv_text(rows: Iterable[Row]) -> str:
    rows = list(rows)
    columns = list(dict.fromkeys(name for row in rows for name in row))
    text = StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()

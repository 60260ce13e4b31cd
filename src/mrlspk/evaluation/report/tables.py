"""Write the results of a document as CSV files: every number unrounded, a row for each item."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from io import StringIO
from typing import Any

type Row = dict[str, object]
type _Places = tuple[list[str], list[str] | None]

# Of each file: the keys from a list down to its rows, and the columns of the levels above the row; None is all.
_EVAL = {
    "results": (["results"], None),
    "baselines": (["baselines", "results"], None),
    "durations": (["durations", "results"], None),
    "breakdown": (["breakdown", "groups", "results"], None),
    "speakers": (["worst_speakers", "speakers"], None),
}
_COMPARE = {
    "results": (["results", "models"], ["dim"]),
    "comparison": (["results", "pairs"], None),
    "speakers": (["results", "pairs", "speakers"], ["dim", "a", "b"]),
}
_OPEN_SET: dict[str, _Places] = {
    "results": (["results"], None),
    "identification": (["results", "rates"], ["dim"]),
    "decisions": (["results", "decisions"], ["dim"]),
}
_CORPUS: dict[str, _Places] = {
    "problems": (["problems"], None),
    "kinds": (["kinds"], None),
    "formats": (["contents", "formats"], []),
}
_RUN = "verdict", "epochs", "steps"
CSV_FILES = [f"{name}.csv" for name in dict.fromkeys((*_EVAL, *_COMPARE, "errors", *_RUN, *_OPEN_SET, *_CORPUS))]
_SIZES = ("n_target", "n_nontarget", "n_speakers", "n_utterances")
# Lists inside a row of results: the key of their items, and what stands before its value in the name of a column.
_KEYED = {"dcf": ("p_target", "@"), "false_accepts": ("p_fa", "_at_fa@")}
_NESTED = ("mcnemar", "signs")  # null where there are none


def csv_files(document: Mapping[str, Any]) -> dict[str, str]:
    """Return the text of each CSV file by name; an empty kind is absent."""
    if document["command"] == "report":
        return _run_files(document)
    if document["command"] == "index evaluate":
        return _own_files(document, _OPEN_SET)
    if document["command"] == "data check":
        return _own_files(document, _CORPUS)
    is_eval = document["command"] == "eval"
    tables: dict[str, list[Row]] = {}
    for name, (keys, columns) in (_EVAL if is_eval else _COMPARE).items():
        with_sizes = is_eval and name == "results"
        tables[name] = [
            _of_list(trials, with_sizes=with_sizes) | row
            for trials in document["trials"]
            for row in _rows(trials, keys, columns)
        ]
    if is_eval:
        tables["errors"] = [_of_list(trials) | row for trials in document["trials"] for row in _errors(trials)]
    return {f"{name}.csv": _csv_text(rows) for name, rows in tables.items() if rows}


def _run_files(document: Mapping[str, Any]) -> dict[str, str]:
    """Return the tables of a training run."""
    rows = {"verdict": document["verdict_rows"], "epochs": document["epochs"]}
    rows["steps"] = document["steps"]
    return {f"{name}.csv": _csv_text([flat(row) for row in rows[name]]) for name in _RUN if rows[name]}


def _own_files(document: Mapping[str, Any], kinds: Mapping[str, _Places]) -> dict[str, str]:
    """Return the tables of a document that is not about trial lists."""
    tables = {name: [*_rows(document, keys, columns)] for name, (keys, columns) in kinds.items()}
    return {f"{name}.csv": _csv_text(rows) for name, rows in tables.items() if rows}


def flat(values: Mapping[str, Any]) -> Row:
    """Return a mapping as one row: an interval as two columns, keyed items under ``name@key``."""
    row: Row = {}
    for name, value in values.items():
        if name in _KEYED:
            key, before = _KEYED[name]
            for item in value:
                row |= {f"{inner}{before}{item[key]:g}": each for inner, each in flat(item).items() if inner != key}
        elif name.endswith("_ci"):
            low, high = value or (None, None)
            row |= {name.replace("_ci", "_low"): low, name.replace("_ci", "_high"): high}
        elif isinstance(value, Mapping):
            row |= {f"{name}_{inner}": each for inner, each in flat(value).items()}
        elif not isinstance(value, list) and name not in _NESTED:
            row[name] = value
    return row


def _rows(above: Mapping[str, Any], keys: Sequence[str], columns: Sequence[str] | None) -> Iterator[Row]:
    """Yield a row for each item at the end of the keys, with the columns of the levels above it."""
    items = above.get(keys[0]) or ()
    for item in [items] if isinstance(items, Mapping) else items:
        row = flat(item)
        if len(keys) == 1:
            yield row
        else:
            kept = row if columns is None else {name: row[name] for name in columns if name in row}
            yield from (kept | below for below in _rows(item, keys[1:], columns))


def _errors(trials: Mapping[str, Any]) -> Iterator[Row]:
    errors = trials.get("errors") or {}
    for kind, key in (("false accept", "false_accepts"), ("miss", "misses")):
        for error in errors.get(key, ()):
            yield {"dim": errors["dim"], "error": kind} | flat(error)


def _of_list(trials: Mapping[str, Any], *, with_sizes: bool = False) -> Row:
    """Return the columns that name the list of a row."""
    official = trials.get("official")
    row: Row = {"trials": trials["path"], "sha256": trials["sha256"], "official": official and official["name"]}
    if enrolments := trials.get("enrolments_sha256"):
        row["enrolments_sha256"] = enrolments
    return row | {name: trials[name] for name in _SIZES if with_sizes and name in trials}


def _csv_text(rows: Sequence[Row]) -> str:
    columns = list(dict.fromkeys(name for row in rows for name in row))
    text = StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()

"""The document's figures as tables for programs: one CSV file a kind, every number unrounded."""

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from io import StringIO
from typing import Any

type Row = dict[str, object]

# Lists inside a row of results, and the key that tells their items apart.
_KEYED = {"dcf": "p_target", "false_accepts": "p_fa"}
_NESTED = ("mcnemar", "signs")  # null where there are none


def csv_files(document: Mapping[str, Any]) -> dict[str, str]:
    """Return the text of each CSV file by its name; a kind of which the document has nothing is absent."""
    kinds = _compare_rows if document["command"] == "compare" else _eval_rows
    tables = {name: list(rows) for name, rows in kinds(document["trials"]).items()}
    return {f"{name}.csv": _csv_text(rows) for name, rows in tables.items() if rows}


def flat(values: Mapping[str, Any]) -> Row:
    """Return the figures of a mapping as one row: an interval as two columns, keyed items under ``name@key``."""
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


def _keyed(name: str, item: Mapping[str, Any], key: float) -> Row:
    rest = {inner: value for inner, value in item.items() if inner != _KEYED[name]}
    place = f"@{key:g}" if name == "dcf" else f"_at_fa@{key:g}"
    return {f"{inner}{place}": value for inner, value in flat(rest).items()}


def _of_list(trials: Mapping[str, Any]) -> Row:
    """Return the columns that say which list a row is of."""
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

"""Parse trials that are JSON objects, one per line; an enrolment may be a list of utterances."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from mrlspk.data.text_tables import BadLine, BadLinesError, TextFile, column_name
from mrlspk.data.trials import tables
from mrlspk.data.trials.trials import ParsedTrials
from mrlspk.errors import shorten
from mrlspk.reading import load_json

EXPECTED = '{"enroll": …, "test": …, "target": …}'
FIX = "Write one JSON object per line: enroll (an utterance or a list of them), test, and target (true or false)."
JOINT = "+"  # between the utterances of an enrolment model without a name
NAMES = "modelid", "model_id", "model", "enroll_id", "enrol_id"  # keys with the name of an enrolment model


class LineError(ValueError):
    """An error in one line."""


@dataclass(frozen=True)
class Keys:
    """The keys of an object by their role; None for an absent role."""

    enroll: str | None
    name: str | None
    test: str | None
    label: str | None
    speakers: tuple[str | None, str | None]
    further: tuple[tuple[str, str], ...]


class JsonTrial(NamedTuple):
    """One object; ``utterances`` are those of an enrolment model, empty if the enrolment is an utterance."""

    enroll_id: str
    utterances: tuple[str, ...]
    test_id: str
    is_target: bool
    speakers: tuple[str, str]
    further: Mapping[str, str]


def parse_json_lines(file: TextFile) -> ParsedTrials:
    """Return the trials of a file of JSON objects.

    Raises:
        DataError: If a line is not such an object, or two lines disagree about a model or a speaker.
    """
    trials: list[JsonTrial] = []
    faults: list[BadLine] = []
    enrolments: dict[str, tuple[str, ...]] = {}
    for number, line in enumerate(file.lines, start=1):
        if not line.strip():
            continue
        try:
            trial = _parse(line)
            if trial.utterances and enrolments.setdefault(trial.enroll_id, trial.utterances) != trial.utterances:
                raise LineError(f"expected the same utterances of {trial.enroll_id} as before")
        except LineError as error:
            faults.append(BadLine(f"{file.path}:{number}", f"{error}, got {shorten(line.strip())!r}"))
        else:
            trials.append(trial)
    if faults:
        raise BadLinesError(faults, str(file.path), len(trials) + len(faults), FIX)
    return _join(trials, enrolments, file)


def _join(trials: Sequence[JsonTrial], enrolments: Mapping[str, tuple[str, ...]], file: TextFile) -> ParsedTrials:
    enroll_ids, test_ids = [trial.enroll_id for trial in trials], [trial.test_id for trial in trials]
    sides = [(ids, [trial.speakers[side] for trial in trials]) for side, ids in enumerate((enroll_ids, test_ids))]
    names = dict.fromkeys(name for trial in trials for name in trial.further)
    return ParsedTrials(
        enroll_ids,
        test_ids,
        np.array([trial.is_target for trial in trials], dtype=bool),
        enrolments,
        {name: tuple(trial.further.get(name, "") for trial in trials) for name in names},
        tables.side_speakers(sides, file.path),
    )


def _parse(line: str) -> JsonTrial:
    """Return the trial of one line.

    Raises:
        LineError: If the line is not a trial.
    """
    try:
        content = load_json(line)
    except ValueError as error:
        raise LineError(f"expected {EXPECTED}") from error
    if not isinstance(content, dict):
        raise LineError(f"expected {EXPECTED}")
    keys = _find_keys(tuple(content))
    if keys.enroll is None or keys.test is None or keys.label is None:
        raise LineError(f"expected {EXPECTED}")
    label = content[keys.label]
    is_target = label if isinstance(label, bool) else tables.parse_label(_text(label))
    if is_target is None:
        raise LineError("expected target true or false")
    name = content[keys.name] if keys.name is not None else None
    enroll_id, utterances = _read_enrolment(content[keys.enroll], name)
    first, second = ("" if key is None else _text(content[key]) for key in keys.speakers)
    further = {name: _text(content[key]) for name, key in keys.further}
    return JsonTrial(enroll_id, utterances, _read_id(content[keys.test], "test"), is_target, (first, second), further)


@lru_cache
def _find_keys(keys: tuple[str, ...]) -> Keys:
    """Assign the keys of an object to roles; cached, as the objects of a file usually have the same keys."""
    key_of = {column_name(key): key for key in keys}

    def take(names: tuple[str, ...]) -> str | None:
        return next((key_of.pop(name) for name in names if name in key_of), None)

    enroll, test, label = take(tables.ENROLL), take(tables.TEST), take(tables.LABEL)
    speakers = take(tables.ENROLL_SPEAKER), take(tables.TEST_SPEAKER)
    return Keys(enroll, take(NAMES), test, label, speakers, tuple(key_of.items()))


def _read_enrolment(value: Any, name: Any) -> tuple[str, tuple[str, ...]]:
    """Return an enrolment and the utterances of its model, none if it is an utterance.

    Raises:
        LineError: If ``value`` is neither text nor a list of different texts.
    """
    if not isinstance(value, list):
        return _read_id(value, "enroll"), ()
    utterances = tuple(_read_id(each, "enroll") for each in value)
    if not utterances or len(set(utterances)) < len(utterances):
        raise LineError("expected in enroll a list of different utterances")
    enroll_id = JOINT.join(utterances) if name is None else _read_id(name, "the name of the model")
    return enroll_id, () if utterances == (enroll_id,) else utterances


def _read_id(value: Any, key: str) -> str:
    if isinstance(value, str) and value.strip():
        return value.strip()
    if isinstance(value, int) and not isinstance(value, bool):  # models may be numbers
        return str(value)
    raise LineError(f"expected text in {key}")


def _text(value: Any) -> str:
    """Return a value as a cell of a table."""
    if value is None:
        return ""
    return value.strip() if isinstance(value, str) else json.dumps(value, ensure_ascii=False)

"""Trials as JSON objects, one a line; an enrolment may be a list of utterances."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mrlspk.data.text_file import TextFile, column_name, shorten
from mrlspk.data.trials import labels
from mrlspk.data.trials.faults import BadLine, BadLinesError
from mrlspk.data.trials.parsed import ParsedTrials
from mrlspk.data.trials.side_speakers import side_speakers

EXPECTED = '{"enroll": …, "test": …, "target": …}'
FIX = "Write one JSON object a line: enroll (an utterance or a list of them), test, and target (true or false)."
JOINT = "+"  # between the utterances of an enrolment model that has no name of its own
NAMES = "modelid", "model_id", "model", "enroll_id", "enrol_id"  # of what a list of utterances is enrolled as


class _FaultError(ValueError):
    """What is wrong with one object."""


@dataclass
class _Trial:
    """One object, its keys told apart."""

    enroll_id: str
    utterances: tuple[str, ...] | None
    test_id: str
    is_target: bool
    speakers: tuple[str, str]
    columns: dict[str, str] = field(default_factory=dict)


def parse_json_lines(file: TextFile) -> ParsedTrials:
    """Return the trials of a file of JSON objects.

    Raises:
        DataError: If a line is no such object, or a model or an utterance is one thing here and another there.
    """
    trials: list[_Trial] = []
    faults: list[BadLine] = []
    enrolments: dict[str, tuple[str, ...]] = {}
    for number, line in enumerate(file.text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            trial = _parse(line)
            if trial.utterances and enrolments.setdefault(trial.enroll_id, trial.utterances) != trial.utterances:
                raise _FaultError(f"expected the utterances that {trial.enroll_id} had before")
        except _FaultError as fault:
            faults.append(BadLine(f"{file.path}:{number}", f"{fault}, got {shorten(line.strip())!r}"))
        else:
            trials.append(trial)
    if faults:
        raise BadLinesError(faults, str(file.path), len(trials) + len(faults), FIX)
    return _join(trials, enrolments, file)


def _join(trials: list[_Trial], enrolments: Mapping[str, tuple[str, ...]], file: TextFile) -> ParsedTrials:
    enroll_ids, test_ids = [trial.enroll_id for trial in trials], [trial.test_id for trial in trials]
    sides = [(ids, [trial.speakers[side] for trial in trials]) for side, ids in enumerate((enroll_ids, test_ids))]
    names = dict.fromkeys(name for trial in trials for name in trial.columns)
    return ParsedTrials(
        enroll_ids,
        test_ids,
        np.array([trial.is_target for trial in trials], dtype=bool),
        enrolments,
        {name: tuple(trial.columns.get(name, "") for trial in trials) for name in names},
        side_speakers(sides, file.path),
    )


def _parse(line: str) -> _Trial:
    """Return the trial of one line.

    Raises:
        _FaultError: If it is none.
    """
    try:
        content = json.loads(line)
    except ValueError as error:
        raise _FaultError(f"expected {EXPECTED}") from error
    if not isinstance(content, dict):
        raise _FaultError(f"expected {EXPECTED}")
    values: dict[str, Any] = {column_name(name): value for name, value in content.items()}
    enroll, test, label = (_take(values, names) for names in (labels.ENROLL, labels.TEST, labels.LABEL))
    is_target = labels.parse_label(_text(label))
    if is_target is None:
        raise _FaultError("expected target true or false")
    if isinstance(enroll, list):
        utterances = tuple(_utterance(each, "enroll") for each in enroll)
        if not utterances or len(set(utterances)) < len(utterances):
            raise _FaultError("expected in enroll a list of different utterances")
        name = _take(values, NAMES) if len(utterances) > 1 or not values.keys().isdisjoint(NAMES) else None
        enroll_id = JOINT.join(utterances) if name is None else _utterance(name, "the name of the model")
    else:
        enroll_id, utterances = _utterance(enroll, "enroll"), ()
    speakers = _text(_take(values, labels.ENROLL_SPEAKER)), _text(_take(values, labels.TEST_SPEAKER))
    columns = {name: _text(value) for name, value in values.items()}
    several = utterances if len(utterances) > 1 or enroll_id not in utterances else ()
    return _Trial(enroll_id, several or None, _utterance(test, "test"), is_target, speakers, columns)


def _take(values: dict[str, Any], names: tuple[str, ...]) -> Any:
    """Return and remove the first of ``names`` that is there; None where none is."""
    return next((values.pop(name) for name in names if name in values), None)


def _utterance(value: Any, key: str) -> str:
    if isinstance(value, str) and value.strip():
        return value.strip()
    if isinstance(value, int) and not isinstance(value, bool):  # the models of SRE are numbers
        return str(value)
    raise _FaultError(f"expected text in {key}")


def _text(value: Any) -> str:
    """Return a value as a table would show it."""
    if value is None:
        return ""
    return value.strip() if isinstance(value, str) else json.dumps(value, ensure_ascii=False)

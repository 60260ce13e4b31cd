import json

import pytest

from mrlspk.data.trials import BadLinesError, read_trials
from mrlspk.errors import DataError


def read(tmp_path, *objects):
    lines = [each if isinstance(each, str) else json.dumps(each) for each in objects]
    (tmp_path / "trials.jsonl").write_text("\n".join(lines))
    return read_trials(tmp_path / "trials.jsonl")


def rows(trials):
    return list(zip(trials.enroll_ids, trials.test_ids, trials.is_target.tolist(), strict=True))


def test_reads_objects_with_labels_of_any_kind(tmp_path):
    trials = read(
        tmp_path,
        {"enroll": "a", "test": "b", "target": True},
        "",
        {"test": "c", "enroll": "a", "target": 0},
        {"modelid": 1001, "segmentid": "d", "targettype": "nontarget"},
    )
    assert rows(trials) == [("a", "b", True), ("a", "c", False), ("1001", "d", False)]
    assert trials.enrolments == {}


def test_a_list_of_utterances_is_a_model(tmp_path):
    trials = read(
        tmp_path,
        {"enroll": ["a1", "a2"], "test": "b", "target": True},
        {"enroll": ["a1", "a2"], "test": "c", "target": False},
        {"enroll": ["x1", "x2"], "model": "m7", "test": "c", "target": False},
        {"enroll": ["y"], "test": "c", "target": False},
    )
    assert trials.enroll_ids == ("a1+a2", "a1+a2", "m7", "y")
    assert trials.enrolments == {"a1+a2": ("a1", "a2"), "m7": ("x1", "x2")}
    assert trials.enroll_utterances("m7") == ("x1", "x2")
    assert trials.enroll_utterances("y") == ("y",)
    assert trials.utterance_ids == ("a1", "a2", "b", "c", "x1", "x2", "y")


def test_further_keys_are_columns_of_text(tmp_path):
    trials = read(
        tmp_path,
        {"enroll": "a", "test": "b", "target": True, "Noise dB": 10, "far": True, "enroll_speaker": "A"},
        {"enroll": "a", "test": "c", "target": False, "far": None, "test_speaker": "C"},
    )
    assert trials.columns == {"noise_db": ("10", ""), "far": ("true", "")}
    assert trials.speaker_by_id == {"a": "A", "c": "C"}


def test_every_bad_line_is_found(tmp_path):
    good = {"enroll": "a", "test": "b", "target": True}
    with pytest.raises(BadLinesError) as caught:
        read(
            tmp_path,
            good,
            "{",
            '"text"',
            good | {"target": "maybe"},
            {"enroll": "a", "target": True},
            good | {"enroll": []},
            good | {"enroll": ["a", "a"]},
            good | {"test": None},
            {"enroll": ["a", "b"], "model": "m", "test": "c", "target": 1},
            {"enroll": ["a", "x"], "model": "m", "test": "c", "target": 1},
        )
    whats = [line.what.partition(", got")[0] for line in caught.value.lines]
    form = 'expected {"enroll": …, "test": …, "target": …}'
    assert whats == [
        form,
        form,
        "expected target true or false",
        form,
        "expected in enroll a list of different utterances",
        "expected in enroll a list of different utterances",
        "expected text in test",
        "expected the same utterances of m as before",
    ]
    assert [line.where.rpartition(":")[2] for line in caught.value.lines] == ["2", "3", "4", "5", "6", "7", "8", "10"]


def test_json_document_error_asks_for_lines(tmp_path):
    with pytest.raises(DataError, match="expected one JSON object a line, got a list"):
        read(tmp_path, [{"enroll": "a", "test": "b", "target": True}])

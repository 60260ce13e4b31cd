"""The limits that the study of real speech checks its metrics against."""

import importlib.util
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[3] / "scripts" / "real_speech.py"
BASELINE = {"english": 0.031, "crosslingual": 0.2107, "short": 0.1453}
GOOD = {"english": [0.03, 0.001], "crosslingual": [0.182, 0.14], "short": [0.12, 0.1]}


@pytest.fixture(scope="module")
def study():
    spec = importlib.util.spec_from_file_location("real_speech_script", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_metrics_within_every_limit_miss_none(study):
    assert study.missed_limits(GOOD, BASELINE) == []


@pytest.mark.parametrize(
    ("name", "eers", "expected"),
    [
        ("english", [0.02, 0.041], ["english: 4.10 % at the full width"]),
        (
            "crosslingual",
            [0.2, 0.141],
            ["14.10 % at the full width, expected at most 14.00 %", "20.00 % at the narrowest width"],
        ),
        ("crosslingual", [0.183, 0.1], ["18.30 % at the narrowest width, expected at most 18.20 %"]),
        ("short", [0.1453, 0.1], ["short: 14.53 %, not below the 14.53 % of the cepstra"]),
        ("short", [0.1, 0.2], ["short: 20.00 %, not below the 14.53 % of the cepstra"]),
    ],
)
def test_each_missed_limit_is_named_with_its_numbers(study, name, eers, expected):
    baseline = BASELINE | {"english": 0.5}
    missed = study.missed_limits(GOOD | {name: eers}, baseline)
    assert len(missed) == len(expected)
    assert all(words in line for words, line in zip(expected, missed, strict=True))


def test_every_list_must_beat_the_cepstra(study):
    eers = {name: [0.01, 0.01] for name in BASELINE}
    missed = study.missed_limits(eers, dict.fromkeys(BASELINE, 0.005))
    assert [line.split(":")[0] for line in missed] == ["english", "crosslingual", "short"]


def test_ratio_is_shown_with_its_numbers_of_trials(study):
    rows = {"english": (225, [0.01, 0.001]), "crosslingual": (900, [0.0935, 0.1008]), "short": (2172, [0.12, 0.1])}
    scored = {"trials": [{"n_target": n, "results": [{"eer": eer} for eer in eers]} for n, eers in rows.values()]}
    note = " ".join(study.ratio_note(scored).split())
    assert "10.00 compares 2.2 target trials with 0.2 (1.00 % against 0.10 %)" in note
    assert note.endswith("0.93 and 1.20, below 1.3.")

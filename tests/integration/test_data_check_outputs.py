"""The files that ``mrlspk data check`` writes, the kinds it ignores, and the voices it finds."""

import csv
import json
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from mrlspk.data.exclude import read_excludes
from mrlspk.inference import backend_registry
from pitch_encoder import PitchBackend

N_SPEAKERS, N_FILES = 24, 5


def write(path, samples):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, 16_000)


@pytest.fixture
def corpus(tmp_path):
    """Two sound speakers, one of one file; a silent file and one that is no audio."""
    root, rng = tmp_path / "corpus", np.random.default_rng(0)
    for name in ("a/1", "a/2", "a/3", "b/1", "b/2", "c/1"):
        write(root / f"{name}.wav", rng.normal(0, 0.1, 8_000))
    write(root / "a/3.wav", np.zeros(8_000))
    (root / "b/2.wav").write_text("no audio")
    return root


@pytest.fixture
def voices(tmp_path, monkeypatch):
    """A corpus of tones that a model tells apart, without a wrong speaker."""
    monkeypatch.setattr(backend_registry, "load_backend", lambda *_, **__: SimpleNamespace(backend=PitchBackend()))
    root, rng, times = tmp_path / "voices", np.random.default_rng(0), np.arange(4_000) / 16_000
    for speaker in range(N_SPEAKERS):
        for number in range(N_FILES):
            hertz = 200 + 290 * speaker + rng.normal(0, 12)
            tone = np.sin(2 * np.pi * hertz * times) + rng.normal(0, 0.05, len(times))
            write(root / f"s{speaker:02}/{number}.wav", 0.2 * tone)
    (tmp_path / "model.pt").write_bytes(b"stands for the model of tones")
    return root


def test_report_holds_the_document_and_excludes_what_is_left_out(run, corpus, tmp_path):
    page, excludes = tmp_path / "page", tmp_path / "excludes.tsv"
    outputs = "--report", page, "--write-excludes", excludes
    outcome = run("data", "check", corpus, *outputs, "--json")
    assert outcome.exit_code == 3
    assert json.loads((page / "report.json").read_text()) == outcome.json
    assert read_excludes([excludes]) == {"a/3.wav": "silent", "b/2.wav": "unreadable"}
    assert outcome.json["excludes"] == {"path": str(excludes), "utterances": 2}
    rows = list(csv.DictReader((page / "problems.csv").read_text().splitlines()))
    assert [(row["kind"], row["where"]) for row in rows] == [
        ("unreadable", "b/2.wav"), ("one_file_speaker", "c"), ("silent", "a/3.wav"),
    ]  # fmt: skip
    assert outcome.json["contents"]["formats"] == [
        {"codec": "pcm_s16", "sample_rate": 16_000, "channels": 1, "files": 5}
    ]
    assert outcome.json["contents"]["durations"]["max"] == 0.5
    assert '<h3 id="kind-silent">' in (page / "index.html").read_text()
    for kept, flags in ((excludes, ("--write-excludes", excludes)), (page / "report.json", ("--report", page))):
        before = kept.read_bytes()
        again = run("data", "check", corpus, *flags)
        assert (again.exit_code, "--force" in again.stderr) == (1, True)
        assert kept.read_bytes() == before
    assert run("data", "check", corpus, *outputs, "--force").exit_code == 3


def test_ignored_kinds_are_counted_and_leave_no_trace_else(run, corpus):
    flags = "--ignore", "unreadable", "--ignore", "silent", "--ignore", "clipped"
    outcome = run("data", "check", corpus, *flags, "--json")
    assert outcome.exit_code == 0
    assert outcome.json["ignored"] == {"silent": 1, "unreadable": 1}
    assert [each["kind"] for each in outcome.json["problems"]] == ["one_file_speaker"]
    assert "ignored: silent 1, unreadable 1" in run("data", "check", corpus, *flags).stdout


def test_unknown_kind_to_ignore_is_a_usage_error_before_any_work(run, corpus):
    outcome = run("data", "check", corpus, "--ignore", "silnt")
    assert outcome.exit_code == 2
    assert "did you mean silent?" in outcome.stderr


def test_model_finds_two_voices_under_a_speaker_and_one_under_two(run, voices, tmp_path):
    (voices / "s03/0.wav").rename(voices / "s10/moved.wav")
    for number in (0, 1):
        (voices / "s20-b").mkdir(exist_ok=True)
        (voices / f"s20/{number}.wav").rename(voices / f"s20-b/{number}.wav")
    excludes = tmp_path / "excludes.tsv"
    flags = "--model", tmp_path / "model.pt", "--write-excludes", excludes
    outcome = run("data", "check", voices, *flags, "--json")
    assert outcome.exit_code == 0
    found = {(each["kind"], each["where"]): each["message"] for each in outcome.json["problems"]}
    assert set(found) == {("two_voices", "s10/moved.wav"), ("one_voice", "s20")}
    assert "it is like s03's" in found["two_voices", "s10/moved.wav"]
    assert "than s20-b, got the same" in found["one_voice", "s20"]
    assert read_excludes([excludes]) == {"s10/moved.wav": "two_voices"}
    assert outcome.json["voices"]["embedded"] == N_SPEAKERS * N_FILES
    assert 0 < outcome.json["voices"]["two_voices"]["threshold"] < 1


def test_model_finds_nothing_in_sound_voices_and_says_its_limits(run, voices, tmp_path):
    model = "--model", tmp_path / "model.pt"
    assert run("data", "check", voices, *model, "--json").json["problems"] == []
    for path in voices.glob("s*/[234].wav"):
        path.unlink()
    pairs = run("data", "check", voices, *model, "--json")
    assert "two voices under one speaker are not searched for" in pairs.json["warnings"][0]
    assert "two_voices" not in pairs.json["voices"]
    for path in voices.glob("s1*/*"):
        path.unlink()
    few = run("data", "check", voices, *model, "--json")
    assert "voices are not compared: that needs 20 speakers" in few.json["warnings"][0]

import json
import os
import zlib

import numpy as np
import pytest
import soundfile
import torch

from mrlspk.data.audio import AudioReader, save_m4a
from speaker_graphs import SPEAKER_3D, write_speaker_graph


def speech(n_samples=8_000, seed=0):
    return np.random.default_rng(seed).normal(0, 0.1, n_samples)


def write(path, samples=None, rate=16_000):
    """Write a file; by default noise that no other file has."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, speech(seed=zlib.crc32(bytes(path))) if samples is None else samples, rate)
    return path


@pytest.fixture
def corpus(tmp_path):
    """Three speakers with two utterances each, and nothing wrong with them."""
    root = tmp_path / "corpus"
    for speaker in "abc":
        for name in "12":
            write(root / speaker / "session" / f"{name}.wav")
    return root


def problems_of(outcome):
    return {(problem["kind"], problem["severity"], problem["where"]) for problem in outcome.json["problems"]}


def test_sound_corpus_is_ok(run, corpus):
    outcome = run("data", "check", corpus, "--json")
    assert outcome.exit_code == 0
    assert {key: outcome.json[key] for key in ("command", "speakers", "utterances", "seconds", "problems", "ok")} == {
        "command": "data check", "speakers": 3, "utterances": 6, "seconds": 3.0, "problems": [], "ok": True,
    }  # fmt: skip


def test_real_speech_has_no_error(run, shared):
    outcome = run("data", "check", shared / "speech/train", "--json")
    assert outcome.exit_code == 0
    assert (outcome.json["speakers"], outcome.json["utterances"], outcome.json["ok"]) == (268, 1638, True)
    assert outcome.json["seconds"] / 3600 == pytest.approx(3.1, abs=0.05)
    assert {problem["kind"] for problem in outcome.json["problems"]} <= {"one_file_speaker", "dc_offset", "clipped"}
    assert [problem["kind"] for problem in outcome.json["problems"]].count("one_file_speaker") == 37


def test_real_trial_lists_are_covered_and_speakers_do_not_overlap(run, shared):
    speech_dir = shared / "speech"
    lists = [argument for name in ("english", "crosslingual") for argument in ("--trials", f"trials-{name}.txt")]
    lists = [speech_dir / item if item.endswith(".txt") else item for item in lists]
    outcome = run("data", "check", speech_dir / "test", *lists, "--against", speech_dir / "train", "--json")
    assert outcome.exit_code == 0
    assert outcome.json["problems"] == []


def test_without_decoding_no_file_is_opened_and_no_length_given(run, corpus):
    (corpus / "a/session/1.wav").write_text("not audio")
    outcome = run("data", "check", corpus, "--decode", "none", "--json")
    assert outcome.exit_code == 0
    assert "seconds" not in outcome.json


@pytest.mark.parametrize("is_there", [False, True], ids=["missing", "empty"])
def test_missing_or_empty_folder_exits_3_with_a_remedy(run, tmp_path, is_there):
    if is_there:
        (tmp_path / "corpus").mkdir()
    outcome = run("data", "check", tmp_path / "corpus")
    assert outcome.exit_code == 3
    assert str(tmp_path / "corpus") in outcome.stderr
    assert len(outcome.stderr.splitlines()) == 2
    assert outcome.stdout == ""


def damage_m4a(root):
    path = root / "a/session/3.m4a"
    save_m4a(path, torch.from_numpy(speech(48_000)).float())
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


def write_text(root):
    (root / "a/session/3.wav").write_text("This is text.\n")
    return root / "a/session/3.wav"


@pytest.mark.parametrize(
    ("spoil", "kind", "message"),
    [
        (damage_m4a, "unreadable", "cut short"),
        (write_text, "unreadable", "cannot be decoded as .wav audio"),
        (lambda root: write(root / "a/session/3.wav", speech(200)), "too_short", "expected more than 16 ms"),
        (lambda root: write(root / "a/session/3.wav", speech(0)), "too_short", "got 0.0 ms"),
    ],
    ids=["truncated", "text", "200 samples", "no samples"],
)
@pytest.mark.parametrize("decode", ["sample", "all"])
def test_audio_at_fault_exits_3_and_is_named(run, corpus, spoil, kind, message, decode):
    path = spoil(corpus)
    outcome = run("data", "check", corpus, "--decode", decode, "--json")
    assert outcome.exit_code == 3
    assert outcome.json["ok"] is False
    assert (kind, "error", path.relative_to(corpus).as_posix()) in problems_of(outcome)
    assert any(message in problem["message"] for problem in outcome.json["problems"])


def test_files_too_short_for_a_model_are_errors(run, corpus, tmp_path):
    model = write_speaker_graph(tmp_path / "m.onnx", SPEAKER_3D)  # it embeds ten frames or more
    least = run("model", "describe", model, "--json").json["min_samples"]
    write(corpus / "a/session/1.wav", speech(least))
    path = write(corpus / "a/session/2.wav", speech(least - 1))
    assert run("data", "check", corpus).exit_code == 0
    outcome = run("data", "check", corpus, "--model", model, "--json")
    assert outcome.exit_code == 3
    (problem,) = outcome.json["problems"]
    assert (problem["kind"], problem["severity"], problem["where"]) == ("too_short", "error", "a/session/2.wav")
    assert f"as {model} needs" in problem["message"]
    assert (outcome.json["model"]["path"], outcome.json["min_samples"], outcome.json["sample_rate"]) == (
        str(model), least, 16_000,
    )  # fmt: skip
    embedded = run("embed", path, "--model", model, "--speech", "all")
    assert embedded.exit_code == 3
    refused = run("data", "check", corpus, "--model", model, "--decode", "none")
    assert (refused.exit_code, "--decode: a model needs the lengths" in refused.stderr) == (2, True)


def test_every_problem_is_reported_and_errors_come_first(run, corpus, tmp_path):
    write_text(corpus)
    write(corpus / "b/session/2.wav", np.zeros(8_000))
    write(corpus / "c/session/1.wav", speech(4_000), rate=8_000)
    write(corpus / "c/session/2.wav", np.stack([speech(), speech()], axis=1))
    write(corpus / "d/session/1.wav")
    write(corpus / "a/session/1.flac")
    write(corpus / "e.wav")
    write(corpus / "deep/er/than/all.wav")
    other = tmp_path / "other"
    write(other / "c/session/9.wav")
    (tmp_path / "trials.txt").write_text(
        "1 a/session/1.wav a/session/2.wav\n0 a/session/1.wav x/1.wav\n1 a/session/1.wav b/session/1.wav\n"
    )
    outcome = run("data", "check", corpus, "--trials", tmp_path / "trials.txt", "--against", other, "--json")
    assert outcome.exit_code == 3
    pair = f"{tmp_path}/trials.txt: a/session/1.wav b/session/1.wav"
    assert problems_of(outcome) == {
        ("unreadable", "error", "a/session/3.wav"),
        ("missing_audio", "error", "x/1.wav"),
        ("speaker_overlap", "error", "c"),
        ("silent", "warning", "b/session/2.wav"),
        ("sample_rate", "warning", "c/session/1.wav"),
        ("channels", "warning", "c/session/2.wav"),
        ("one_file_speaker", "warning", "d"),
        ("duplicate", "warning", "a/session/1.wav"),
        ("layout", "warning", "e.wav"),
        ("layout", "warning", "deep"),
        ("trial_label", "warning", pair),
    }
    severities = [problem["severity"] for problem in outcome.json["problems"]]
    assert severities == ["error"] * 3 + ["warning"] * 8


def two_parties():
    """Two channels that speak in turn, half a second each."""
    turns = np.repeat([[1, 0.01], [0.01, 1]] * 4, 8_000, axis=0)
    return np.stack([speech(64_000, 1), speech(64_000, 2)], axis=1) * turns


@pytest.mark.parametrize(
    ("samples", "kind", "message"),
    [
        (two_parties(), "channels_differ", "got 2 that differ, such as two parties of a call"),
        (np.stack([speech(64_000), -speech(64_000)], axis=1), "channels_cancel", "got 2 that cancel each other"),
        (np.stack([speech()] * 3, axis=1), "channels", "expected one channel, got 3: averaged"),
    ],
    ids=["differ", "cancel", "equal"],
)
def test_channels_are_told_by_what_they_do_to_the_average(run, corpus, samples, kind, message):
    write(corpus / "b/session/2.wav", samples)
    outcome = run("data", "check", corpus, "--json")
    assert (outcome.exit_code, problems_of(outcome)) == (0, {(kind, "warning", "b/session/2.wav")})
    assert message in outcome.json["problems"][0]["message"]


def test_integers_stored_as_floats_are_out_of_range(run, corpus):
    soundfile.write(corpus / "b/session/2.wav", speech() * 32_768, 16_000, subtype="FLOAT")
    outcome = run("data", "check", corpus, "--json")
    assert (outcome.exit_code, problems_of(outcome)) == (0, {("out_of_range", "warning", "b/session/2.wav")})


def test_file_that_decodes_to_less_than_it_states_is_told(run, corpus, monkeypatch):
    monkeypatch.setattr(AudioReader, "stated_seconds", property(lambda _: 0.8))
    outcome = run("data", "check", corpus, "--json")
    assert {each["message"] for each in outcome.json["problems"]} == {"expected 0.8 s of audio, got 0.5 s"}


@pytest.mark.parametrize("decode", ["none", "all"])
def test_names_that_training_refuses_are_errors_among_others(run, corpus, decode):
    (corpus / os.fsdecode(b"a/session/caf\xe9.wav")).write_bytes((corpus / "a/session/1.wav").read_bytes())
    (corpus / "b/session/one two.wav").write_bytes((corpus / "b/session/1.wav").read_bytes())
    write(corpus / "c/session/3.wav", np.zeros(8_000))
    outcome = run("data", "check", corpus, "--against", corpus, "--decode", decode, "--json")
    assert outcome.exit_code == 3
    assert outcome.json["utterances"] == 9
    silent = {("silent", "warning", "c/session/3.wav")} if decode == "all" else set()
    assert problems_of(outcome) == silent | {
        ("name", "error", "a/session/caf\\xe9.wav"),
        ("name", "error", "b/session/one two.wav"),
        *(("speaker_overlap", "error", speaker) for speaker in "abc"),
    }
    assert "name" in run("data", "check", corpus).stdout


@pytest.mark.parametrize("command", ["check", "scan"])
@pytest.mark.parametrize("suffix", ["wav", "m4a"])
def test_segments_that_their_recordings_do_not_have_are_errors(run, tmp_path, suffix, command):
    """The recording has 2 s; a segment that ends less than half a second after it is cut, as Kaldi does."""
    samples = torch.from_numpy(speech(32_000)).float()
    for speaker in "ab":
        path = tmp_path / f"{speaker}.wav"
        soundfile.write(path, samples, 16_000) if suffix == "wav" else save_m4a(path.with_suffix(".m4a"), samples)
    spans = {"cut": (1.0, 1.4), "whole": (0.5, None), "long": (1.0, 1.6), "late": (2.5, 1.0), "later": (2.5, None)}
    lines = [
        {"audio_filepath": f"{speaker}.{suffix}", "label": speaker, "id": f"{speaker}/{name}", "offset": start}
        | ({} if seconds is None else {"duration": seconds})
        for speaker in "ab"
        for name, (start, seconds) in spans.items()
    ]
    (tmp_path / "a.json").write_text("".join(json.dumps(each) + "\n" for each in lines))
    expected = {f"{speaker}/{name}" for speaker in "ab" for name in ("long", "late", "later")}
    if command == "check":
        outcome = run("data", "check", tmp_path / "a.json", "--json", "--ignore", "same_audio")
        assert problems_of(outcome) == {("segment_end", "error", each) for each in expected}
    else:
        outcome = run("data", "scan", tmp_path / "a.json", "-o", tmp_path / "b.jsonl", "--json")
        assert {each["id"] for each in outcome.json["errors"]} == expected
        assert all("ends at 2.00 s" in each["message"] for each in outcome.json["errors"])
        assert outcome.json["seconds"] == pytest.approx(2 * (1.0 + 1.5))


def test_files_that_are_absent_are_not_counted_as_decoded(run, corpus, tmp_path):
    lines = [f"a{number} {tmp_path}/nowhere.wav\n" for number in "12"] + [f"b1 {next(corpus.rglob('*.wav'))}\n"]
    (tmp_path / "kaldi").mkdir()
    (tmp_path / "kaldi/wav.scp").write_text("".join(lines))
    (tmp_path / "kaldi/utt2spk").write_text("a1 a\na2 a\nb1 b\n")
    outcome = run("data", "check", tmp_path / "kaldi", "--json")
    assert (outcome.json["utterances"], outcome.json["decoded"]) == (3, 1)
    assert {("unreadable", "error", each) for each in ("a1", "a2")} <= problems_of(outcome)


@pytest.mark.parametrize(
    ("flag", "typed", "meant"), [("--ignore", "one_file", "one_file_speaker"), ("--expect", "vox3", "vox2-dev")]
)
def test_nearest_name_is_offered_for_an_unknown_one(run, corpus, flag, typed, meant):
    outcome = run("data", "check", corpus, flag, typed)
    assert outcome.exit_code == 2
    assert f"; did you mean {meant}?" in outcome.stderr


def test_one_file_speaker_is_a_warning_and_exits_0(run, corpus):
    write(corpus / "d/session/1.wav")
    outcome = run("data", "check", corpus)
    assert outcome.exit_code == 0
    assert "one_file_speaker" in outcome.stdout
    assert "ok: errors 0, warnings 1" in outcome.stdout


def test_bad_trial_line_exits_3_and_names_the_line(run, corpus, tmp_path):
    trials = tmp_path / "trials.txt"
    trials.write_text("1 a/session/1.wav a/session/2.wav\nyes a c\n")
    outcome = run("data", "check", corpus, "--trials", trials, "--json")
    assert outcome.exit_code == 3
    (problem,) = outcome.json["problems"]
    assert problem["where"] == f"{trials}:2"
    assert problem["message"] == "expected '<0|1> <enroll> <test>', got 'yes a c'"


def test_published_counts_are_compared(run, corpus):
    outcome = run("data", "check", corpus, "--expect", "vox1-test", "--json")
    assert outcome.exit_code == 3
    assert [problem["message"] for problem in outcome.json["problems"]] == [
        "expected 40 speakers, got 3",
        "expected 4874 utterances, got 6",
    ]
    assert run("data", "check", corpus, "--expect", "vox9").exit_code == 2


def test_the_table_shows_twenty_problems_and_counts_the_rest(run, corpus):
    for number in range(25):
        write(corpus / f"single{number:02}" / "session" / "1.wav")
    outcome = run("data", "check", corpus)
    assert "single19" in outcome.stdout
    assert "single20" not in outcome.stdout
    assert "… and 5 more; --json shows all of them" in outcome.stdout
    assert len(run("data", "check", corpus, "--json").json["problems"]) == 25

"""Scan corpora into manifest files, and use these in place of the folders."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from encoded_audio import write_lossy
from factories import tiny_config
from mrlspk.data.audio import load_audio, probe_audio
from mrlspk.data.build import build_training_data
from mrlspk.data.corpora.recipe_registry import scan_corpus
from mrlspk.data.exclude import read_excludes
from mrlspk.data.manifest_files import facts
from mrlspk.data.manifest_files.recipes import read_rows
from mrlspk.data.processes import in_processes
from tiny_corpora import write_speakers

N_LINKS = 300


@pytest.fixture
def opened(monkeypatch):
    """The names of the files whose headers are read."""
    names, read_file_header = [], facts.read_file_header

    def noted(location):
        names.append(Path(location).name)
        return read_file_header(location)

    monkeypatch.setattr(facts, "read_file_header", noted)
    return names


@pytest.mark.parametrize("suffix", [".parquet", ".jsonl"])
def test_rows_are_what_probing_each_file_says(run, tiny_corpus, tmp_path, suffix):
    lossy = write_lossy(tiny_corpus.root / "speaker0/a/3.m4a", np.sin(np.arange(9000)))
    (tiny_corpus.root / "speaker0/a/4.vox").touch()
    file = tmp_path / f"corpus{suffix}"
    outcome = run("data", "scan", tiny_corpus.root, "-o", file, "--json")
    assert outcome.exit_code == 0
    rows = {row.id: row for row in read_rows(file)}
    assert [*rows] == sorted([*tiny_corpus.utterance_ids, "speaker0/a/3.m4a"])
    for id_, row in rows.items():
        path, state = tiny_corpus.root / id_, (tiny_corpus.root / id_).stat()
        info = probe_audio(path)
        assert (row.speaker, row.session) == (id_[:8], id_[:10])
        assert (row.sample_rate, row.channels, row.seconds) == (info.sample_rate, info.channels, info.seconds)
        assert (row.path, row.bytes, row.mtime_ns) == (f"corpus/{id_}", state.st_size, state.st_mtime_ns)
        assert (row.exact, row.codec) == (True, "aac" if path == lossy else "pcm_s16")
    counts = {name: outcome.json[name] for name in ("utterances", "speakers", "read", "unchanged", "errors")}
    assert counts == {"utterances": 17, "speakers": 4, "read": 17, "unchanged": 0, "errors": []}
    assert outcome.json["seconds"] == pytest.approx(sum(row.seconds for row in rows.values()))
    assert outcome.json["left_out"] == [{"path": "speaker0/a/4.vox", "reason": "format"}]
    assert [each.source.path for each in scan_corpus(file).utterances] == [tiny_corpus.root / id_ for id_ in rows]


def test_unreadable_files_are_listed_and_the_rest_is_written(run, tiny_corpus, tmp_path):
    cut = tiny_corpus.root / "speaker1/a/1.wav"
    cut.write_bytes(cut.read_bytes()[:-100])
    (tiny_corpus.root / "speaker2/a/1.wav").write_text("no audio")
    outcome = run("data", "scan", tiny_corpus.root, "-o", tmp_path / "a.parquet", "--json")
    assert outcome.exit_code == 3
    assert outcome.json["utterances"] == len(list(read_rows(tmp_path / "a.parquet"))) == 14
    assert {each["id"]: each["message"].partition("\n")[0] for each in outcome.json["errors"]} == {
        "speaker1/a/1.wav": f"{cut}: cut short: expected 16000 bytes of audio, got 15900",
        "speaker2/a/1.wav": f"{tiny_corpus.root}/speaker2/a/1.wav: cannot be decoded as .wav audio"
        " (FFmpeg: Invalid data found when processing input; libsndfile: Format not recognised)",
    }
    (tmp_path / "excluded.txt").write_text("speaker1/a/1.wav\tunreadable\nspeaker2/a/1.wav\tunreadable\n")
    excluded = "--exclude", tmp_path / "excluded.txt", "--update", "--json"
    outcome = run("data", "scan", tiny_corpus.root, "-o", tmp_path / "a.parquet", *excluded)
    assert (outcome.exit_code, outcome.json["unchanged"], outcome.json["read"]) == (0, 14, 0)
    for path in tiny_corpus.root.rglob("*.wav"):
        path.write_text("no audio")
    outcome = run("data", "scan", tiny_corpus.root, "-o", tmp_path / "b.parquet")
    assert outcome.exit_code == 3
    assert "no file can be read; the first: " in outcome.stderr
    assert [each.name for each in tmp_path.glob("b.*")] == []


def test_update_reads_only_what_changed(run, tiny_corpus, tmp_path, opened):
    file, root = tmp_path / "a.parquet", tiny_corpus.root
    scan = "data", "scan", root, "-o", file
    run(*scan)
    assert len(opened) == 16
    before = file.read_bytes()
    assert run(*scan, "--json").exit_code == 1  # the file exists
    outcome = run(*scan, "--update", "--json").json
    assert (outcome["read"], outcome["unchanged"], len(opened)) == (0, 16, 16)
    assert (outcome["utterances"], outcome["speakers"], outcome["seconds"]) == (16, 4, 8.0)
    assert file.read_bytes() == before
    os.utime(root / "speaker0/a/1.wav", ns=(1, 1))  # touched
    longer = root / "speaker0/a/2.wav"
    state = longer.stat()
    longer.write_bytes(longer.read_bytes() + b"id3 \4\0\0\0tail")
    os.utime(longer, ns=(state.st_atime_ns, state.st_mtime_ns))  # of another size only
    (root / "speaker1/b/1.wav").rename(root / "speaker1/b/9.wav")
    (root / "speaker3/b/2.wav").unlink()
    outcome = run(*scan, "--update", "--json").json
    assert sorted(opened[16:]) == ["1.wav", "2.wav", "9.wav"]
    assert (outcome["read"], outcome["unchanged"], outcome["utterances"]) == (3, 12, 15)
    rows = {row.id: row for row in read_rows(file)}
    assert [*rows] == tiny_corpus.utterance_ids
    assert outcome["seconds"] == 7.5
    assert (rows["speaker0/a/1.wav"].mtime_ns, rows["speaker0/a/2.wav"].bytes) == (1, state.st_size + 12)
    state = longer.stat()
    longer.write_bytes(longer.read_bytes() + b"id3 \4\0\0\0tail")
    os.utime(longer, ns=(state.st_atime_ns, state.st_mtime_ns))  # nothing else has changed
    assert run(*scan, "--update", "--json").json["read"] == 1
    again = run("data", "scan", root, "-o", tmp_path / "b.parquet", "--json").json
    assert again["seconds"] == outcome["seconds"]
    assert (tmp_path / "b.parquet").read_bytes() == file.read_bytes()
    assert run("data", "scan", root, "-o", tmp_path / "a.json", "--quiet").exit_code == 0
    assert "does not hold the times of files" in run("data", "scan", root, "-o", tmp_path / "a.json", "--update").stderr


def test_update_by_another_recipe_changes_the_speakers(run, tiny_corpus, tmp_path):
    scan = "data", "scan", tiny_corpus.root, "-o", tmp_path / "a.parquet"
    assert run(*scan, "--corpus", "{session}/{speaker}/{utterance}.wav", "--json").json["speakers"] == 2
    assert run(*scan, "--update", "--json").json["speakers"] == 4
    assert {row.speaker for row in read_rows(tmp_path / "a.parquet")} == {f"speaker{number}" for number in range(4)}


def test_manifest_files_stand_for_the_corpus(run, tiny_corpus, tmp_path, write_model):
    trials = {}
    for name in ("a.parquet", "a.jsonl", "a.json", "kaldi"):
        file = tmp_path / "files" / name
        assert run("data", "scan", tiny_corpus.root, "-o", file, "--quiet").exit_code == 0
        checked = run("data", "check", file, "--trials", tiny_corpus.trials, "--json")
        assert (checked.exit_code, checked.json["utterances"], checked.json["seconds"]) == (0, 16, 8.0)
        run("data", "trials", file, "-o", tmp_path / f"{name}.txt", "-n", "20")
        trials[name] = (tmp_path / f"{name}.txt").read_text()
        scanned = scan_corpus(file).utterances
        assert [each.utterance_id for each in scanned] == tiny_corpus.utterance_ids
        heard, expected = load_audio(scanned[3].source), load_audio(tiny_corpus.root / scanned[3].utterance_id)
        assert heard.equal(expected)
    run("data", "trials", tiny_corpus.root, "-o", tmp_path / "folder.txt", "-n", "20")
    assert set(trials.values()) == {(tmp_path / "folder.txt").read_text()}
    config = {"n_validation_speakers": 2, "chunk_duration": 0.25, "num_workers": 0}
    data = build_training_data(tiny_config(tmp_path / "files/a.parquet", data=config).data, seed=0)
    assert len(data.corpus.utterances) == len(data.validation.utterances) == 8
    model = write_model(tmp_path / "m.pt", dims=(8,))
    vectors = {}
    for given in (tiny_corpus.root, tmp_path / "files/kaldi", tmp_path / "files/a.json"):
        found = run("embed", given, "--model", model, "--speech", "all", "--json").json["embeddings"]
        vectors[given] = {each["id"]: each["embedding"] for each in found}
    first, *others = vectors.values()
    assert [*first] == tiny_corpus.utterance_ids
    assert all(each == first for each in others)
    scored = run("eval", model, "--trials", tiny_corpus.trials, "--audio-root", tmp_path / "files/a.parquet", "--json")
    assert scored.json["trials"][0]["n_target"] == 24


def test_manifest_file_of_another_corpus_is_not_updated(run, tiny_corpus, tmp_path):
    write_speakers(tmp_path / "other", "xy")
    shutil.copytree(tiny_corpus.root / "speaker0", tmp_path / "other/speaker0")  # with ids that are in both
    file = tmp_path / "a.parquet"
    run("data", "scan", tiny_corpus.root, "-o", file)
    before = file.read_bytes()
    outcome = run("data", "scan", tmp_path / "other", "-o", file, "--update")
    assert (outcome.exit_code, "--force in place of --update" in outcome.stderr) == (2, True)
    outcome = run("data", "scan", tiny_corpus.root, "-o", file)
    assert (outcome.exit_code, "exists\n--update reads what has changed" in outcome.stderr) == (1, True)
    assert file.read_bytes() == before


def test_names_that_no_list_can_hold_are_told_and_left_out(run, tiny_corpus, tmp_path):
    first = tiny_corpus.root / tiny_corpus.utterance_ids[0]
    (tiny_corpus.root / "speaker0/a/in two.wav").write_bytes(first.read_bytes())
    excludes = tmp_path / "excludes.tsv"
    assert run("data", "check", tiny_corpus.root, "--write-excludes", excludes).exit_code == 3
    assert [*read_excludes([excludes])] == ["speaker0/a/in two.wav"]
    for flags, errors in (((), ["speaker0/a/in two.wav"]), (("--exclude", excludes), [])):
        outcome = run("data", "scan", tiny_corpus.root, "-o", tmp_path / "a.jsonl", "--force", "--json", *flags)
        assert outcome.json["utterances"] == 16
        assert [each["id"] for each in outcome.json["errors"]] == errors
        assert all("white space" in each["message"] for each in outcome.json["errors"])


def test_corpus_of_unusable_names_alone_is_an_error_that_says_so(run, tmp_path):
    write_speakers(tmp_path / "corpus", ["a b"])
    outcome = run("data", "scan", tmp_path / "corpus", "-o", tmp_path / "a.jsonl")
    assert outcome.exit_code == 3
    assert "no file can be read; the first: its path holds white space" in outcome.stderr
    assert not (tmp_path / "a.jsonl").exists()


@pytest.mark.process
def test_killed_scan_goes_on_where_it_stopped(tmp_path, run):
    corpus, file = tmp_path / "corpus", tmp_path / "a.jsonl"
    (corpus / "s0").mkdir(parents=True)
    first = write_lossy(corpus / "s0/0.mp3", np.sin(np.arange(4000)))  # takes a millisecond to count
    for number in range(1, N_LINKS):
        os.link(first, corpus / f"s0/{number}.mp3")
    command = "data", "scan", str(corpus), "-o", str(file), "--jobs", "1", "--json"
    partial = tmp_path / "a.jsonl.partial"
    with subprocess.Popen([sys.executable, "-m", "mrlspk", *command], stdout=subprocess.DEVNULL) as process:
        while not (partial.exists() and partial.read_bytes().count(b"\n") > 1):
            assert process.poll() is None, "ended before it could be killed"
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
    assert not file.exists()
    with partial.open("ab") as cut:
        cut.write(b'[["s0/0.mp3","s0"')  # as a kill within a write leaves it
    told = run(*command).json
    assert 0 < told["resumed"] < N_LINKS
    assert told["read"] + told["resumed"] == told["utterances"] == N_LINKS
    assert {row.seconds for row in read_rows(file)} == {probe_audio(first).seconds}
    assert len(list(read_rows(file))) == N_LINKS
    assert not partial.exists()


@pytest.mark.process
def test_processes_give_every_result_and_end_with_an_error():
    assert sorted(in_processes(abs, range(-20, 1), jobs=2)) == [*range(21)]
    assert list(in_processes(abs, [-2, -1], jobs=1)) == [2, 1]
    with pytest.raises(TypeError):
        list(in_processes(abs, [1, "x", *range(50)], jobs=2))

"""``mrlspk embed --resume``: embeddings of a stopped run are taken over, others are made again."""

import json
import os

import numpy as np
import pytest
import soundfile

from mrlspk.inference.torch_backend import TorchBackend


@pytest.fixture
def world(tmp_path, write_model, monkeypatch):
    """Six files, a model, and a backend that records the lengths that it embeds."""
    write_model(tmp_path / "model.pt")
    (tmp_path / "in").mkdir()
    for index in range(6):
        write_noise(tmp_path / "in" / f"{index}.wav", index)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write_noise(path, index):
    soundfile.write(path, 0.1 * np.random.default_rng(index).normal(size=8000 + 160 * index), 16000)


@pytest.fixture
def lengths(monkeypatch):
    """Lengths of the waveforms that are embedded; Ctrl-C before the one of ``stop``."""
    found, embed = Lengths(), TorchBackend.embed

    def record(backend, waveforms):
        if waveforms.shape[1] == found.stop:
            raise KeyboardInterrupt
        found.append(waveforms.shape[1])
        return embed(backend, waveforms)

    monkeypatch.setattr(TorchBackend, "embed", record)
    return found


class Lengths(list):
    stop = None


WORDS = ("embed", "in", "--model", "model.pt", "--speech", "all", "--backend", "torch", "-o", "out.jsonl")


def stopped(run, lengths):
    """Run the command until the fifth file, and forget what was embedded."""
    lengths.stop = 8640
    outcome = run(*WORDS)
    assert outcome.exit_code == 130
    assert "out.jsonl.partial keeps 4 of 6 embeddings: give --resume to go on from there" in outcome.stderr
    lengths.stop = None
    assert lengths[:4] == [8000, 8160, 8320, 8480]
    lengths.clear()


def test_stopped_run_resumes_to_the_same_file(run, world, lengths):
    assert run(*WORDS).exit_code == 0
    whole = (world / "out.jsonl").read_text()
    (world / "out.jsonl").unlink()
    lengths.clear()
    stopped(run, lengths)
    assert [path.name for path in world.glob("out*")] == ["out.jsonl.partial"]
    assert run(*WORDS, "--resume").exit_code == 0
    assert lengths == [8640, 8800]
    assert (world / "out.jsonl").read_text() == whole
    assert not (world / "out.jsonl.partial").exists()


def test_unfinished_last_row_is_embedded_again(run, world, lengths):
    stopped(run, lengths)
    rows = world / "out.jsonl.partial"
    os.truncate(rows, rows.stat().st_size - 5)
    assert run(*WORDS, "--resume").exit_code == 0
    assert lengths == [8480, 8640, 8800]
    assert len((world / "out.jsonl").read_text().splitlines()) == 6


def test_changed_and_failed_files_are_embedded_again(run, world, lengths):
    (world / "in" / "1.wav").write_text("no audio")
    lengths.stop = 8640
    assert run(*WORDS).exit_code == 130
    lengths.stop = None
    lengths.clear()
    for index in (0, 1):
        write_noise(world / "in" / f"{index}.wav", index)
    assert run(*WORDS, "--resume").exit_code == 0
    assert lengths == [8000, 8160, 8640, 8800]


def test_other_settings_are_refused_and_listed(run, world, lengths):
    stopped(run, lengths)
    before = (world / "out.jsonl.partial").read_bytes()
    outcome = run(*WORDS, "--resume", "--channel", "0")
    assert outcome.exit_code == 1
    assert "channel: mix then, 0 now" in outcome.stderr
    assert (world / "out.jsonl.partial").read_bytes() == before


def test_foreign_partial_file_is_refused_and_kept(run, world):
    (world / "out.jsonl.partial").write_text('{"a": 1}\n')
    outcome = run(*WORDS, "--resume")
    assert outcome.exit_code == 1
    assert "was not left by this version of `mrlspk embed`" in outcome.stderr
    assert json.loads((world / "out.jsonl.partial").read_text()) == {"a": 1}


def test_text_without_line_feed_is_refused_and_kept(run, world):
    (world / "out.jsonl.partial").write_text("my notes")
    outcome = run(*WORDS, "--resume")
    assert outcome.exit_code == 1
    assert "was not left by" in outcome.stderr
    assert (world / "out.jsonl.partial").read_text() == "my notes"


def test_unfinished_header_begins_again(run, world, lengths):
    stopped(run, lengths)
    os.truncate(world / "out.jsonl.partial", 30)
    assert run(*WORDS, "--resume").exit_code == 0
    assert lengths == [8000, 8160, 8320, 8480, 8640, 8800]


@pytest.mark.parametrize("row", ['{"settings": {}}', None])
def test_rows_of_another_version_are_refused_and_kept(run, world, lengths, row):
    stopped(run, lengths)
    header, first, *rest = (world / "out.jsonl.partial").read_text().splitlines()
    other = row or json.dumps(json.loads(first) | {"embedding": [0.5, 0.5]})
    content = "\n".join([header, other, *rest]) + "\n"
    (world / "out.jsonl.partial").write_text(content)
    outcome = run(*WORDS, "--resume")
    assert outcome.exit_code == 1
    assert "out.jsonl.partial: was not left by this version" in outcome.stderr
    assert (world / "out.jsonl.partial").read_text() == content


@pytest.mark.usefixtures("world")
def test_stopped_run_without_a_file_says_that_nothing_is_kept(run, lengths):
    lengths.stop = 8640
    outcome = run(*WORDS[:-2])
    assert outcome.exit_code == 130
    assert "4 of 6 embeddings were made and are not kept: give --output to keep them" in outcome.stderr


@pytest.mark.usefixtures("world")
def test_resume_without_a_file_is_refused(run):
    outcome = run(*WORDS[:-2], "--resume")
    assert outcome.exit_code == 2
    assert "--output" in outcome.stderr


def test_rows_of_a_stopped_run_are_not_lost_without_resume(run, world, lengths):
    stopped(run, lengths)
    before = (world / "out.jsonl.partial").read_bytes()
    outcome = run(*WORDS)
    assert outcome.exit_code == 1
    assert "out.jsonl.partial: holds embeddings of a run that was stopped" in outcome.stderr
    assert "--resume" in outcome.stderr
    assert (world / "out.jsonl.partial").read_bytes() == before
    assert run(*WORDS, "--force").exit_code == 0
    assert lengths == [8000, 8160, 8320, 8480, 8640, 8800]
    assert not (world / "out.jsonl.partial").exists()


def test_rows_are_in_the_partial_file_as_they_come(run, world, monkeypatch):
    found = []
    monkeypatch.setattr("mrlspk.workflows.embed_run.EmbedRun._tell", lambda *_: found.append(n_rows(world)))
    assert run(*WORDS, "--batch-size", 1).exit_code == 0
    assert found == [1, 2, 3, 4, 5, 6]


def n_rows(world):
    return len((world / "out.jsonl.partial").read_text().splitlines()) - 1


@pytest.mark.usefixtures("world")
def test_resumed_embeddings_are_counted(run, lengths):
    stopped(run, lengths)
    shown = run(*WORDS, "--resume", "--json").json
    assert (shown["files"], shown["resumed"]) == (6, 4)
    assert shown["audio_seconds"] == pytest.approx(sum(range(8000, 8801, 160)) / 16000)
    assert shown["seconds"] > 0


@pytest.mark.usefixtures("lengths")
def test_full_disk_keeps_the_rows_and_names_resume(run, world, monkeypatch):
    from mrlspk.workflows.embedding_spool import Spool

    append = Spool._append

    def fill(spool, row):
        if row.get("id") == "3.wav":
            raise OSError(28, "No space left on device")
        return append(spool, row)

    monkeypatch.setattr(Spool, "_append", fill)
    outcome = run(*WORDS)
    assert outcome.exit_code == 1
    assert "out.jsonl: cannot be written: No space left on device\nMake room, then give --resume" in outcome.stderr
    assert n_rows(world) == 3


def test_partial_file_without_rows_is_begun_again(run, world, lengths):
    (world / "out.jsonl.partial").write_text('{"settings": {}}\n')
    assert run(*WORDS).exit_code == 0
    assert len(lengths) == 6

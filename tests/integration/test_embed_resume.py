"""``mrlspk embed --resume``: embeddings of a stopped run are taken over, others are made again."""

import json
import os

import numpy as np
import pytest
import soundfile

from mrlspk.inference.torch_backend import TorchBackend
from mrlspk.workflows import embed as workflow


@pytest.fixture
def world(tmp_path, write_model, monkeypatch):
    """Six files, a model, and a backend that records the lengths that it embeds; parts of two files."""
    write_model(tmp_path / "model.pt")
    (tmp_path / "in").mkdir()
    for index in range(6):
        write_noise(tmp_path / "in" / f"{index}.wav", index)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(workflow, "PART_FILES", 2)
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
    assert run(*WORDS).exit_code == 130
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
    assert "was not left by `mrlspk embed`" in outcome.stderr
    assert json.loads((world / "out.jsonl.partial").read_text()) == {"a": 1}


@pytest.mark.usefixtures("world")
def test_resume_without_a_file_is_refused(run):
    outcome = run(*WORDS[:-2], "--resume")
    assert outcome.exit_code == 2
    assert "--output" in outcome.stderr

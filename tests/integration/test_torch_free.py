"""Embed with an exported model in processes that cannot import torch or what else is heavy."""

import json
import subprocess
import sys

import numpy as np
import pytest
import soundfile

import mrlspk
from graphs import moments, write_moments
from run_folders import run_line, write_run
from speaker_graphs import WESPEAKER, write_speaker_graph

HEAVY = {"torch", "torchaudio", "torchcodec", "lightning", "lightning_fabric", "scipy", "av", "requests"}
HOOK = f"""
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {HEAVY}:
            raise AssertionError("imports " + name)

sys.meta_path.insert(0, Refuse())
"""
COMMAND = HOOK + "from mrlspk.cli.app import main; main()"
LIBRARY = HOOK + "import mrlspk; print(mrlspk.load(sys.argv[1]).embed(sys.argv[2], speech='all').tolist())"

pytestmark = pytest.mark.process


@pytest.fixture
def model(tmp_path):
    return write_moments(tmp_path / "model.onnx")


@pytest.fixture
def samples():
    return np.random.default_rng(0).integers(-3_000, 4_000, 8_000).astype(np.int16)


def python(program, *arguments):
    return subprocess.run([sys.executable, "-c", program, *map(str, arguments)], capture_output=True, text=True)


def unit_moments(samples):
    vector = moments(samples[None] / 2.0**15)[0]
    return vector / np.hypot(*vector)


@pytest.mark.parametrize("suffix", ["wav", "flac"])
def test_command_with_an_exported_model_imports_nothing_heavy(suffix, model, samples, tmp_path):
    soundfile.write(tmp_path / f"a.{suffix}", samples, 16_000)
    done = python(COMMAND, "embed", tmp_path / f"a.{suffix}", "--model", model, "--speech", "all", "--json")
    assert done.returncode == 0, done.stderr
    [entry] = json.loads(done.stdout)["embeddings"]
    np.testing.assert_allclose(entry["embedding"], unit_moments(samples), atol=1e-6)


def test_command_with_a_speaker_model_of_others_imports_nothing_heavy(samples, tmp_path):
    model = write_speaker_graph(tmp_path / "others.onnx", WESPEAKER)
    soundfile.write(tmp_path / "a.wav", samples, 16_000)
    done = python(COMMAND, "embed", tmp_path / "a.wav", "--model", model, "--speech", "all", "--json")
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)["embeddings"][0]["embedding"]) == 160


def test_library_with_an_exported_model_imports_nothing_heavy(model, samples, tmp_path):
    soundfile.write(tmp_path / "a.wav", samples, 16_000)
    done = python(LIBRARY, model, tmp_path / "a.wav")
    assert done.returncode == 0, done.stderr
    np.testing.assert_allclose(json.loads(done.stdout), unit_moments(samples), atol=1e-6)


def test_resampled_recording_imports_nothing_heavy(model, samples, tmp_path):
    soundfile.write(tmp_path / "a.wav", samples, 8_000)
    done = python(COMMAND, "embed", tmp_path / "a.wav", "--model", model, "--json")
    assert done.returncode == 0, done.stderr
    assert "upsampled from 8000 Hz" in json.loads(done.stdout)["embeddings"][0]["warnings"]


def test_missing_runtime_is_named_with_its_extra(model, samples, tmp_path):
    soundfile.write(tmp_path / "a.wav", samples, 16_000)
    without = "import sys; sys.modules.update(onnxruntime=None, openvino=None)\nfrom mrlspk.cli.app import main; main()"
    done = python(without, "embed", tmp_path / "a.wav", "--model", model)
    assert done.returncode == 4
    assert "pip install 'mrlspk[onnx]'" in done.stderr


def test_page_of_a_network_run_needs_no_torch(tmp_path):
    run = write_run(tmp_path / "first", [run_line()])
    done = python(COMMAND.replace("'scipy'", "'none'"), "report", run, "-o", tmp_path / "page")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "page" / "index.html").is_file()


INDEX = """
import sys, numpy, mrlspk
index = mrlspk.VoiceIndex.create(sys.argv[1], vectors=sys.argv[2])
index.add_vectors(sys.argv[2])
index.rename("ann", "eve")
names = [match.name for match in index.search(numpy.array([1.0, 0.2, 0]), where="name != 'bob'").results]
print(names, index.identify(numpy.ones(3)).decision, index.verify("bob", numpy.ones(3)).same, index.check())
index.remove("bob")
index.compact()
index.export(sys.argv[3])
"""


def test_index_without_recordings_imports_nothing_heavy(tmp_path):
    vectors = np.array([[1, 0, 0], [1, 0.1, 0], [0, 1, 0]], np.float32)
    np.savez(tmp_path / "v.npz", ids=["ann/1", "ann/2", "bob/1"], embeddings=vectors)
    done = python(HOOK + INDEX, tmp_path / "index", tmp_path / "v.npz", tmp_path / "out.npz")
    assert (done.returncode, done.stdout) == (0, "['eve'] None None ()\n"), done.stderr
    with np.load(tmp_path / "out.npz") as exported:
        assert exported["ids"].tolist() == ["eve/1"]


def test_commands_take_vectors_without_anything_heavy(tmp_path):
    vectors = np.array([[1, 0, 0], [0, 1, 0]], np.float32)
    np.savez(tmp_path / "v.npz", ids=["ann/1", "bob/1"], embeddings=vectors)
    np.save(tmp_path / "one.npy", vectors[:1])
    with mrlspk.VoiceIndex.create(tmp_path / "i", vectors=tmp_path / "v.npz") as index:
        index.add_vectors(tmp_path / "v.npz")
    for words in (["identify", tmp_path / "i"], ["verify", tmp_path / "i", "ann"]):
        done = python(COMMAND, "index", *words, "--vectors", tmp_path / "one.npy", "--json")
        assert (done.returncode, json.loads(done.stdout)["source"]) == (0, "0"), done.stderr

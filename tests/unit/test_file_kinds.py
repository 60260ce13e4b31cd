import numpy as np
import onnx
import pytest
import soundfile
import torch
from safetensors.torch import save_file

from mrlspk.file_kinds import recognise
from speaker_graphs import WESPEAKER, write_speaker_graph


def write_arrays(path, **arrays):
    with path.open("wb") as file:
        np.savez(file, **arrays)


def write_recording(path, kind):
    soundfile.write(path, np.zeros(1600), 16_000, format=kind)


WRITERS = {
    "an empty file": lambda path: path.write_bytes(b""),
    "a web page": lambda path: path.write_text("\n<!DOCTYPE html><html>404 Not Found</html>"),
    "a text file": lambda path: path.write_text("not a list\nof 0 trials\n"),
    "a trial list": lambda path: path.write_text("0 a.wav b.wav\n"),
    "a pointer of Git LFS to a file": lambda path: path.write_text("version https://git-lfs.github.com/spec/v1\n"),
    "a recording": lambda path: write_recording(path, "WAV"),
    "a pickle (plain pickles are never opened)": lambda path: torch.save(
        {"a": torch.zeros(2)}, path, _use_new_zipfile_serialization=False
    ),
    "a PyTorch checkpoint": lambda path: torch.save({"a": torch.zeros(2)}, path),
    "a truncated file": lambda path: path.write_bytes(b"PK\x03\x04 cut"),
    "an ONNX model": lambda path: write_speaker_graph(path, WESPEAKER),
    "a safetensors file": lambda path: save_file({"a": torch.zeros(2)}, path),
    "a file of embeddings": lambda path: write_arrays(path, ids=["a"], embeddings=np.zeros((1, 4))),
    "a transform": lambda path: write_arrays(path, mean=np.zeros(2), matrix=np.eye(2)),
    "a file of scores": lambda path: write_arrays(path, lists=np.asarray("{}")),
    "a file of NumPy arrays": lambda path: write_arrays(path, x=np.zeros(2)),
    "a NumPy array": lambda path: path.write_bytes(b"\x93NUMPY\x01"),
    None: lambda path: path.write_bytes(bytes(600)),
}


@pytest.mark.parametrize("name", WRITERS)
def test_file_is_recognised_by_its_content(tmp_path, name):
    path = tmp_path / "file.x"
    WRITERS[name](path)
    found = recognise(path)
    assert (found and found.name) == name


@pytest.mark.parametrize("kind", ["FLAC", "OGG", "MP3"])
def test_recordings_of_other_formats_are_recognised(tmp_path, kind):
    write_recording(tmp_path / "a.x", kind)
    assert recognise(tmp_path / "a.x").name == "a recording"


def test_misnamed_model_gets_the_name_that_it_needs(tmp_path):
    torch.save({}, tmp_path / "model.onnx")
    write_speaker_graph(tmp_path / "model.pt", WESPEAKER)
    assert recognise(tmp_path / "model.onnx").fix == "Rename it to model.pt."
    assert recognise(tmp_path / "model.pt").fix == "Rename it to model.onnx."


def test_graph_of_another_writer_is_recognised(tmp_path):
    graph = onnx.helper.make_graph([], "g", [], [])
    onnx.save(onnx.helper.make_model(graph, producer_name="pytorch"), tmp_path / "a.x")
    assert recognise(tmp_path / "a.x").name == "an ONNX model"

"""Run the Python of docs/deployment.md on an exported model, and compare it with mrlspk."""

import re
from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

import mrlspk
from factories import write_tiny_model
from mrlspk.cli.app import app
from mrlspk.models.graph_metadata import GraphMetadata, check_signal

PAGE = (Path(__file__).parents[2] / "docs" / "deployment.md").read_text(encoding="utf-8")
(BLOCK,) = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
OF_THE_FILE = {"version"}  # says nothing about the model


def test_python_of_the_page_gives_the_voice_of_mrlspk(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_tiny_model(tmp_path / "model.pt", (4, 8))
    exported = CliRunner().invoke(app, ["export", "model.pt", "-o", "model.onnx"])
    assert exported.exit_code == 0, exported.stderr
    soundfile.write("a.wav", check_signal(20_000), 16_000)
    names: dict[str, object] = {}
    exec(compile(BLOCK, "docs/deployment.md", "exec"), names)
    expected = mrlspk.load("model.pt", device="cpu").embed("a.wav", dim=4, speech="all")
    assert names["voice"] == pytest.approx(expected, abs=1e-4)
    assert np.linalg.norm(expected) == pytest.approx(1)
    assert "mrlspk" not in re.findall(r"^(?:import|from) (\w+)", BLOCK, re.MULTILINE)


def test_page_names_every_key_of_the_metadata():
    assert [key for key in set(GraphMetadata.model_fields) - OF_THE_FILE if f"`{key}`" not in PAGE] == []

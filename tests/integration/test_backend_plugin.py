"""Commands with a backend of fixed vectors, registered for its own kind of model file; all numbers counted by hand."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

import fixed_vectors
import mrlspk
from mrlspk.inference import backend_registry
from mrlspk.models.encoder import Encoder

VECTORS = {"a1": (3, 4, 0), "a2": (4, 3, 0), "b1": (0, 5, 12), "b2": (5, 0, 12)}
TRIALS = "1 a1.wav a2.wav\n1 b1.wav b2.wav\n0 a1.wav b1.wav\n0 a2.wav b2.wav\n"
# Cosines of the trials, targets first: 0.96 and 0 against 0.8 and 0.8 at width 2, of which half are errors;
# 0.96 and 144/169 against 4/13 and 4/13 at width 3, of which none are.
EER = {2: 0.5, 3: 0.0}


@pytest.fixture(autouse=True)
def plugin(monkeypatch):
    """Register the plug-in, and let no PyTorch network be built."""
    monkeypatch.setattr(backend_registry, "_LOADERS", {})
    fixed_vectors.register()
    monkeypatch.setattr(Encoder, "__init__", lambda *_, **__: pytest.fail("a PyTorch network was built"))


@pytest.fixture
def speech(tmp_path):
    """Four recordings of constant samples, and trials of them."""
    folder = tmp_path / "speech"
    folder.mkdir()
    for level, name in enumerate(VECTORS, start=1):
        soundfile.write(folder / f"{name}.wav", np.full(8000, level / 10), 16000, subtype="FLOAT")
    (folder / "trials.txt").write_text(TRIALS)
    return folder


@pytest.fixture
def model(tmp_path, speech):
    """A model file that carries the configuration of its trials."""
    config = {"evaluation": {"trials": [{"path": str(speech / "trials.txt"), "audio_root": str(speech)}]}}
    vectors = dict(enumerate(VECTORS.values(), start=1))
    path = tmp_path / f"model{fixed_vectors.SUFFIX}"
    path.write_text(json.dumps({"name": "fixed", "dims": [2, 3], "vectors": vectors, "config": config}))
    return path


def test_embed_uses_the_backend_of_the_model_file(run, model, speech):
    outcome = run("embed", speech, "--model", model, "--json")
    assert outcome.exit_code == 0, outcome.stderr
    assert outcome.json["fingerprint"] == "fixed"
    found = {each["id"]: (each["embedding"], each["seconds"], each["dim"]) for each in outcome.json["embeddings"]}
    lengths = {"a1": 5, "a2": 5, "b1": 13, "b2": 13}
    assert found == {
        f"{name}.wav": (pytest.approx([value / lengths[name] for value in vector]), 0.5, 3)
        for name, vector in VECTORS.items()
    }


def test_embed_cuts_a_prefix_of_the_vectors(run, model, speech):
    outcome = run("embed", speech / "b2.wav", "--model", model, "--dim", 2, "--json")
    assert outcome.json["embeddings"][0]["embedding"] == [1, 0]
    outcome = run("embed", speech / "b2.wav", "--model", model, "--dim", 1)
    assert outcome.exit_code == 2
    assert "Its widths: 2, 3." in outcome.stderr


def test_eval_scores_the_trials_that_the_model_file_carries(run, model):
    outcome = run("eval", model, "--json")
    assert outcome.exit_code == 0, outcome.stderr
    results = outcome.json["trials"][0]["results"]
    assert {each["dim"]: each["eer"] for each in results} == EER
    assert {each["dim"]: each["min_dcf"] for each in results} == EER  # a miss of two, or none


def test_eval_again_finds_the_vectors_in_the_cache(run, model, monkeypatch):
    first = run("eval", model, "--json")
    monkeypatch.setattr(fixed_vectors.FixedVectors, "embed", lambda *_: pytest.fail("embedded again"))
    again = run("eval", model, "--json")
    assert again.json["trials"] == first.json["trials"]


def test_verify_and_compare_use_the_backend_too(run, model, speech, tmp_path):
    scores = run("verify", speech / "a1.wav", speech / "b1.wav", "--model", model, "--json").json["scores"]
    assert {each["dim"]: each["cosine"] for each in scores} == {2: pytest.approx(0.8), 3: pytest.approx(4 / 13)}
    other = tmp_path / f"other{fixed_vectors.SUFFIX}"
    other.write_text(model.read_text().replace('"fixed"', '"other"'))
    assert run("compare", model, other, "--json").exit_code == 0


def test_baselines_need_a_pytorch_checkpoint(run, model):
    outcome = run("eval", model, "--baselines")
    assert outcome.exit_code == 1
    assert "baselines need a PyTorch checkpoint" in outcome.stderr


def test_load_embeds_from_python(model, speech):
    encoder = mrlspk.load(model)
    assert encoder.dims == (2, 3)
    assert encoder.embed(speech / "b2.wav") == pytest.approx([5 / 13, 0, 12 / 13])
    assert encoder.similarity(speech / "a1.wav", speech / "a2.wav", dim=2) == pytest.approx(0.96)


@pytest.mark.process
def test_eval_imports_no_pytorch_network(model, tmp_path):
    code = f"""
import sys
sys.path.insert(0, {str(Path(fixed_vectors.__file__).parent)!r})
import fixed_vectors
from mrlspk.cli.app import main
fixed_vectors.register()
sys.argv = ["mrlspk", "eval", {str(model)!r}, "--json"]
try:
    main()
finally:
    networks = {{name for name in sys.modules if name.startswith("mrlspk.models.")}}
    plain = {{"mrlspk.models.graph_metadata", "mrlspk.models.score_ranges"}}
    print(sorted(networks - plain), file=sys.stderr)
"""
    outcome = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert outcome.returncode == 0, outcome.stderr
    assert json.loads(outcome.stdout)["trials"][0]["results"][0]["eer"] == 0.5
    assert outcome.stderr.endswith("[]\n")

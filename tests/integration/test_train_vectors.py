"""``mrlspk train --vectors``, and the head that it writes."""

import json

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from mrlspk.cli.app import app
from mrlspk.models.checkpoints import load_model
from mrlspk.models.head_transforms import fold_head
from mrlspk.vectors.loading import load_vectors
from mrlspk.vectors.saving import save_vectors
from mrlspk.vectors.table import VectorTable

N_SPEAKERS, PER_SPEAKER, DIM = 24, 6, 12
SETTINGS = (
    "data.n_validation_speakers=8",
    "data.n_validation_trials=100",
    "training.num_epochs=2",
    "training.batch_size=32",
    "evaluation.n_resamples=0",
)
SETS = [part for each in SETTINGS for part in ("--set", each)]


def write_voices(path, *, prefix="s", seed=0, n_speakers=N_SPEAKERS, dim=DIM, fingerprint="model"):
    """Write vectors of speakers, whose ids are like ``s00/1/2``."""
    rng = np.random.default_rng(seed)
    voices = rng.normal(size=(n_speakers, 1, dim)) * np.linspace(2, 0.2, dim)
    rows = (voices + 0.5 * rng.normal(size=(n_speakers, PER_SPEAKER, dim))).reshape(-1, dim).astype(np.float32)
    ids = tuple(f"{prefix}{s:02}/{n % 2}/{n}" for s in range(n_speakers) for n in range(PER_SPEAKER))
    table = VectorTable(ids, rows, fingerprint)
    save_vectors(table, path, force=False)
    return table


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with vectors, trials among them, and a run on them."""
    folder = tmp_path_factory.mktemp("heads")
    table = write_voices(folder / "v.npz")
    test = write_voices(folder / "test.npz", prefix="t", seed=1)
    pairs = [(a, b) for index, a in enumerate(test.ids) for b in test.ids[index + 1 : index + 40]]
    lines = [f"{int(a[:3] == b[:3])} {a} {b}\n" for a, b in pairs]
    (folder / "trials.txt").write_text("".join(lines))
    told = invoke(folder, "train", "--vectors", folder / "v.npz", *SETS, "--set", "logging.run_name=run")
    return folder, table, test, told


def invoke(folder, *arguments):
    """Run a command whose runs go to a folder, and return its document."""
    own = ["--set", f"logging.save_dir={folder}"] if arguments[0] == "train" else []
    done = CliRunner().invoke(app, [*map(str, arguments), *own, "--json"])
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout)


def test_head_is_trained_without_a_model(made):
    folder, table, _, told = made
    loaded = load_model(folder / "run" / "best.pt")
    architecture = loaded.architecture.model_dump()
    assert architecture == {
        "family": "head",
        "in_features": DIM,
        "base": None,
        "fingerprint": table.fingerprint,
        "matryoshka_dims": (DIM,),
        "output_norm": False,
    }
    assert "transfer" not in told
    config = yaml.safe_load((folder / "run" / "config.yaml").read_text())
    assert config["data"]["vectors"] == [str(folder / "v.npz")]
    assert config["model"]["pretrained"]["use_pretrained"] is False


def test_best_head_is_applied_to_vectors(made, tmp_path):
    folder, _, test, _ = made
    head = folder / "run" / "best.pt"
    out = tmp_path / "out.npz"
    told = invoke(tmp_path, "vectors", "apply", folder / "test.npz", "--transform", head, "--dim", 5, "-o", out)
    assert (told["count"], told["dim"]) == (len(test.ids), 5)
    affine = fold_head(load_model(head).encoder.head)
    unit = test.vectors / np.linalg.norm(test.vectors, axis=1, keepdims=True)
    expected = (unit @ affine.weight.numpy().T + affine.bias.numpy())[:, :5]
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(load_vectors(out).vectors, expected, atol=1e-6)


def test_applied_vectors_score_as_the_head_itself(made, tmp_path):
    folder, *_ = made
    head, trials = folder / "run" / "best.pt", ("--trials", folder / "trials.txt", "--resamples", 0)
    invoke(tmp_path, "vectors", "apply", folder / "test.npz", "--transform", head, "-o", tmp_path / "out.npz")
    applied = invoke(tmp_path, "eval", "--vectors", tmp_path / "out.npz", *trials)
    scored = invoke(tmp_path, "eval", head, "--vectors", folder / "test.npz", *trials)
    for key in ("eer", "threshold"):
        found = [told["trials"][0]["results"][0][key] for told in (scored, applied)]
        assert found[0] == pytest.approx(found[1], abs=1e-6)
    assert scored["fingerprint"] == applied["fingerprint"]


def test_two_heads_are_compared_on_one_file_of_vectors(made, tmp_path):
    folder, *_ = made
    heads = [folder / "run" / name for name in ("trained.pt", "rotation.pt")]
    common = "--vectors", folder / "test.npz", "--trials", folder / "trials.txt", "--dims", "4,12", "--resamples", 0
    both = invoke(tmp_path, "compare", *heads, *common, "--allow-untrained-dim")
    assert both["models"] == list(map(str, heads))
    one = invoke(tmp_path, "compare", heads[0], *common, "--allow-untrained-dim")
    assert one["models"] == [str(heads[0]), str(folder / "test.npz")]

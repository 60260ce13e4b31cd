"""``mrlspk rotate --vectors`` and ``mrlspk vectors apply``."""

import hashlib

import numpy as np
import pytest

from mrlspk.cli.rotate import OrderChoice
from mrlspk.rotation.transform import ORDERS, fit_transform
from mrlspk.rotation.transform_file import load_transform
from mrlspk.vectors.loading import load_vectors

BEST = "--centre", "--flatten", 0.2
SPEAKERS = np.arange(60) % 12
IDS = tuple(f"s{speaker}/{index}" for index, speaker in enumerate(SPEAKERS))


@pytest.fixture
def vectors(tmp_path):
    """Write 60 vectors of 8 values of 12 speakers, and return the file and the values."""
    rng = np.random.default_rng(0)
    values = (rng.normal(size=(12, 8))[SPEAKERS] + rng.normal(size=(60, 8)) + 1).astype(np.float32)
    np.savez(tmp_path / "v.npz", ids=np.array(IDS), embeddings=values, fingerprint=np.array("model"))
    return tmp_path / "v.npz", values


@pytest.fixture
def fit(run, vectors, tmp_path):
    def command(*arguments, output="t.npz", file=vectors[0]):
        return run("rotate", "--vectors", file, "-o", tmp_path / output, *arguments, "--json")

    return command


def test_command_offers_every_order():
    assert {*OrderChoice} == {*ORDERS}


def test_transform_of_vectors_is_written_and_reported(fit, vectors, tmp_path):
    outcome = fit(*BEST, "--dims", "2,4")
    assert outcome.exit_code == 0, outcome.stderr
    report, path = outcome.json, tmp_path / "t.npz"
    assert report["transform"] == {"centred": True, "flatten": 0.2, "order": "energy"}
    assert (report["path"], report["dims"], report["bytes"]) == (str(path), [2, 4, 8], path.stat().st_size)
    assert (report["speakers"], report["vectors"], report["fingerprint"]) == (12, 60, "model")
    found = load_transform(path)
    expected = fit_transform(vectors[1], SPEAKERS, centre=True, flatten=0.2, order="energy")
    assert found.matrix == pytest.approx(expected.matrix, abs=1e-4)
    assert (found.dims, found.fingerprint) == ((2, 4, 8), "model")


@pytest.mark.parametrize(
    ("written", "mode", "version"), [(None, None, None), ("", "all", None), ("silero-6", "silero", "silero-6")]
)
def test_speech_of_the_vectors_is_that_of_the_transform(fit, vectors, tmp_path, written, mode, version):
    told = {} if written is None else {"speech_detector": np.array(written)}
    np.savez(tmp_path / "told.npz", ids=np.array(IDS), embeddings=vectors[1], **told)
    report, found = fit(file=tmp_path / "told.npz").json, load_transform(tmp_path / "t.npz")
    assert (report["speech"], report["speech_detector"]) == (found.speech, found.speech_detector) == (mode, version)


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ((), (False, 0.0, "energy")),
        (("--order", "scatter"), (False, 0.0, "scatter")),
        (("--centre",), (True, 0.0, "energy")),
        (("--flatten", 0.1, "--order", "scatter"), (False, 0.1, "scatter")),
    ],
)
def test_vectors_are_rotated_unless_flags_say_otherwise(fit, flags, expected):
    assert tuple(fit(*flags).json["transform"].values()) == expected


def test_labels_of_another_file_are_used(fit, vectors, tmp_path):
    first = fit(*BEST).json
    labels = tmp_path / "utt2spk"
    labels.write_text("".join(f"u{index} {speaker}\n" for index, speaker in enumerate(SPEAKERS)))
    np.save(tmp_path / "plain.npy", vectors[1])
    (tmp_path / "plain.ids.txt").write_text("".join(f"u{index}\n" for index in range(60)))
    again = fit(*BEST, "--speakers", labels, file=tmp_path / "plain.npy", output="u.npz")
    assert again.exit_code == 0, again.stderr
    assert (again.json["speakers"], again.json["fingerprint"]) == (first["speakers"], None)
    matrices = [load_transform(tmp_path / name).matrix for name in ("t.npz", "u.npz")]
    assert matrices[0] == pytest.approx(matrices[1], abs=1e-4)


@pytest.mark.parametrize("dim", [None, 3])
def test_apply_writes_unit_prefixes_of_the_transform(fit, run, vectors, tmp_path, dim):
    fit(*BEST, "--dims", "2,4")
    out = tmp_path / "out.npz"
    width = () if dim is None else ("--dim", dim)
    outcome = run("vectors", "apply", vectors[0], "--transform", tmp_path / "t.npz", *width, "-o", out, "--json")
    assert outcome.exit_code == 0, outcome.stderr
    assert (outcome.json["count"], outcome.json["dim"]) == (60, dim or 8)
    assert outcome.json["transform"] == {"centred": True, "flatten": 0.2, "order": "energy"}
    with np.load(tmp_path / "t.npz") as file:
        t = dict(file)
    unit = vectors[1] / np.linalg.norm(vectors[1], axis=1, keepdims=True)
    expected = ((unit - t["mean"]) @ t["matrix"].T * t["scales"])[:, : dim or 8]
    table = load_vectors(out)
    assert table.ids == IDS
    assert table.vectors == pytest.approx(expected / np.linalg.norm(expected, axis=1, keepdims=True), abs=1e-6)
    digest = hashlib.sha256(b"model")
    matrix = t["scales"][:, None] * t["matrix"]
    for part in (matrix, -matrix @ t["mean"]):
        digest.update(part.astype("<f8").tobytes())
    assert (table.dims, table.fingerprint) == ((2, 3) if dim else (2, 4, 8), digest.hexdigest())


def test_vectors_of_another_model_or_width_are_refused(fit, run, vectors, tmp_path):
    fit(*BEST)
    other, narrow = tmp_path / "other.npz", tmp_path / "narrow.npz"
    np.savez(other, ids=np.array(IDS), embeddings=vectors[1], fingerprint=np.array("another"))
    np.savez(narrow, ids=np.array(IDS), embeddings=vectors[1][:, :4])
    for file, message in ((other, "of the model another"), (narrow, "expected 8 values a vector")):
        refused = run("vectors", "apply", file, "--transform", tmp_path / "t.npz", "-o", tmp_path / "out.npz")
        assert (refused.exit_code, message in refused.stderr) == (3, True), refused.stderr
    wide = run("vectors", "apply", vectors[0], "--transform", tmp_path / "t.npz", "--dim", 9, "-o", tmp_path / "o.npz")
    assert wide.exit_code == 2
    assert not (tmp_path / "out.npz").exists()


@pytest.mark.parametrize(
    ("flags", "code", "message"),
    [
        (("--method", "svd", "--centre"), 2, "--method"),
        (("--speech", "."), 2, "--vectors"),
        (("--dims", "9"), 2, "a width of 9 needs training"),
        (("--flatten", 0.6), 2, "0.5"),
    ],
)
def test_flags_that_do_not_fit_are_refused(fit, tmp_path, flags, code, message):
    refused = fit(*flags)
    assert (refused.exit_code, message in refused.stderr) == (code, True), refused.stderr
    assert not (tmp_path / "t.npz").exists()


def test_unusable_vectors_are_refused(fit, vectors, tmp_path):
    faults = {
        "zero": (IDS, np.zeros((60, 8), np.float32), "60 of 60 vectors are zero"),
        "nobody": ([f"u{index}" for index in range(60)], vectors[1], "have no speaker"),
        "one": ([f"s/{index}" for index in range(60)], vectors[1], "two speakers"),
    }
    for name, (ids, values, message) in faults.items():
        np.savez(tmp_path / f"{name}.npz", ids=np.array(ids), embeddings=values)
        refused = fit(*BEST, file=tmp_path / f"{name}.npz")
        assert (refused.exit_code, message in refused.stderr) == (3, True), refused.stderr
    assert not (tmp_path / "t.npz").exists()


def test_model_or_vectors_have_to_be_given(run, tmp_path):
    assert run("rotate", "-o", tmp_path / "t.npz").exit_code == 2
    assert run("rotate", "model.pt", "-o", tmp_path / "t.pt").exit_code == 2

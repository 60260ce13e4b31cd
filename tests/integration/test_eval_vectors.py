"""``eval``, ``compare`` and ``calibrate`` score vectors in place of audio."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from factories import write_tiny_model, write_voices
from integration.conftest import TinyCorpus
from mrlspk.cli.app import app
from mrlspk.evaluation.score_files import read_scores
from mrlspk.rotation.transform import Transform
from mrlspk.rotation.transform_file import save_transform
from mrlspk.vectors.loading import load_vectors
from mrlspk.vectors.saving import save_vectors
from mrlspk.vectors.table import VectorTable


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with a corpus, its trials, a model and its embeddings in three formats."""
    folder = tmp_path_factory.mktemp("vectors")
    corpus = TinyCorpus(write_voices(folder / "corpus"), folder / "trials.txt")
    corpus.write_all_trials()
    for seed, name in enumerate("ab"):
        write_tiny_model(folder / f"{name}.pt", (4, 8), seed=seed)
        arguments = ["embed", folder / "corpus", "--model", folder / f"{name}.pt", "--speech", "all", "-o"]
        assert CliRunner().invoke(app, [*map(str, arguments), str(folder / f"{name}.npz")]).exit_code == 0
    (folder / "a.npz").rename(folder / "v.npz")
    return folder


@pytest.fixture
def vectors(made, tmp_path, monkeypatch):
    """The embeddings in v.npz, v.scp, v.ark and v.parquet of a working directory with their corpus and model."""
    monkeypatch.chdir(shutil.copytree(made, tmp_path / "work"))
    monkeypatch.setenv("MRLSPK_CACHE_DIR", str(tmp_path / "cache"))
    table = load_vectors(Path("v.npz"))
    for name in ("v.scp", "v.parquet"):
        save_vectors(table, Path(name), force=False)
    return table


FLAGS = "--trials", "trials.txt", "--json"


@pytest.mark.usefixtures("vectors")
def test_numbers_are_those_of_audio_in_every_format(run):
    audio = run("eval", "a.pt", *FLAGS, "--audio-root", "corpus", "--scores", "audio.npz")
    (expected,) = audio.json["trials"]
    scores = read_scores(Path("audio.npz")).lists[0].scored.scores
    for index, name in enumerate(("v.npz", "v.scp", "v.ark", "v.parquet")):
        outcome = run("eval", "--vectors", name, *FLAGS, "--dims", "4,8", "--scores", f"{index}.npz")
        assert outcome.exit_code == 0, outcome.stderr
        (trials,) = outcome.json["trials"]
        for mine, theirs in zip(trials["results"], expected["results"], strict=True):
            keys = ("dim", "eer", "threshold", "min_dcf", "min_cllr")
            assert [mine[key] for key in keys] == pytest.approx([theirs[key] for key in keys], abs=1e-6)
        found = read_scores(Path(f"{index}.npz")).lists[0].scored.scores
        np.testing.assert_allclose(found, scores, atol=1e-6)
        known = name in {"v.npz", "v.parquet"}
        assert outcome.json["fingerprint"] == (audio.json["fingerprint"] if known else "unknown")


@pytest.mark.usefixtures("vectors")
def test_no_model_is_looked_up(run, monkeypatch):
    monkeypatch.setenv("MRLSPK_MODEL", "gone.pt")
    outcome = run("eval", "--vectors", "v.npz", *FLAGS)
    assert outcome.exit_code == 0, outcome.stderr
    assert outcome.json["model"]["path"] == "v.npz"
    assert [each["dim"] for each in outcome.json["trials"][0]["results"]] == [4, 8]
    assert "--vectors v.npz" in outcome.json["command_line"]
    assert "gone" not in outcome.stderr + outcome.json["command_line"]


def test_widths_in_the_file_are_the_trained_ones(run, vectors):
    save_vectors(VectorTable(vectors.ids, vectors.vectors, dims=(4, 8)), Path("w.npz"), force=False)
    outcome = run("eval", "--vectors", "w.npz", *FLAGS)
    assert [each["dim"] for each in outcome.json["trials"][0]["results"]] == [4, 8]
    outcome = run("eval", "--vectors", "w.npz", *FLAGS, "--dims", "6")
    assert (outcome.exit_code, "not trained for a width of 6" in outcome.stderr) == (2, True)
    assert run("eval", "--vectors", "w.npz", *FLAGS, "--dims", "6", "--allow-untrained-dim").exit_code == 0
    outcome = run("eval", "--vectors", "v.npz", *FLAGS, "--dims", "9")
    assert (outcome.exit_code, "has 8 values" in outcome.stderr) == (2, True)


def test_missing_vectors_are_counted_named_and_left_out_on_request(run, vectors):
    save_vectors(VectorTable(vectors.ids[2:], vectors.vectors[2:]), Path("few.npz"), force=False)
    outcome = run("eval", "--vectors", "few.npz", *FLAGS)
    assert outcome.exit_code == 3
    assert "2 of 16 utterances are not in few.npz: speaker0/a/1.wav, speaker0/a/2.wav" in outcome.stderr
    assert "Give vectors whose ids are those of the list, or leave their trials out with --allow-miss" in outcome.stderr
    outcome = run("eval", "--vectors", "few.npz", *FLAGS, "--allow-missing")
    (trials,) = outcome.json["trials"]
    assert (trials["missing"]["n_utterances"], trials["n_target"] + trials["n_nontarget"]) == (2, 91)


def test_ids_may_have_another_audio_suffix_than_the_list(run, vectors):
    expected = run("eval", "--vectors", "v.npz", *FLAGS).json["trials"][0]["results"]
    ids = tuple(each.replace(".wav", ".m4a" if index % 2 else "") for index, each in enumerate(vectors.ids))
    save_vectors(VectorTable(ids, vectors.vectors, dims=(4, 8)), Path("m4a.npz"), force=False)
    assert run("eval", "--vectors", "m4a.npz", *FLAGS).json["trials"][0]["results"] == expected
    assert run("compare", "--vectors", "v.npz", "--vectors", "m4a.npz", *FLAGS).exit_code == 0
    two = (*ids, ids[0] + ".flac")
    save_vectors(VectorTable(two, vectors.vectors[[*range(len(ids)), 0]]), Path("two.npz"), force=False)
    outcome = run("eval", "--vectors", "two.npz", *FLAGS)
    assert (outcome.exit_code, "1 of 16 utterances are not in two.npz" in outcome.stderr) == (3, True)


@pytest.mark.parametrize("suffix", [".parquet", ".jsonl"])
@pytest.mark.usefixtures("vectors")
def test_every_output_of_embed_names_its_model_and_audio(run, suffix):
    run("embed", "corpus/speaker0", "--model", "a.pt", "--speech", "all", "-o", f"e{suffix}")
    table, known = load_vectors(Path(f"e{suffix}")), load_vectors(Path("v.npz"))
    assert (table.fingerprint, table.speech_detector) == (known.fingerprint, "")


def test_speakers_come_from_labels_where_ids_do_not_name_them(run, vectors):
    ids = tuple(each.replace("/", "-") for each in vectors.ids)  # speaker0-a-1.wav
    save_vectors(VectorTable(ids, vectors.vectors), Path("k.npz"), force=False)
    lines = Path("trials.txt").read_text().replace("/", "-").splitlines()
    joined = [line for line in lines if line[0] == "0" or ("a-1" in line and "a-2" in line)]  # two of four utterances
    Path("k.txt").write_text("\n".join(joined))
    Path("utt2spk").write_text("".join(f"{each} {each[:8]}\n" for each in ids))
    command = "eval", "--vectors", "k.npz", "--trials", "k.txt", "--json"
    assert run(*command).json["trials"][0]["n_speakers"] == 4 * 3
    assert run(*command, "--speakers", "utt2spk").json["trials"][0]["n_speakers"] == 4
    Path("utt2spk").write_text("".join(f"{each} {each[:8]}\n" for each in ids[3:]))
    outcome = run(*command, "--speakers", "utt2spk")
    assert (outcome.exit_code, "3 of 16 ids have no speaker, such as speaker0-a-1.wav" in outcome.stderr) == (3, True)


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["eval", "v.npz"], 3, "v.npz: expected a transform, got vectors\n`mrlspk vectors inspect`"),
        (["eval", "--vectors", "none.npz"], 3, "none.npz: cannot be read: No such file or directory\nCheck the path."),
        (
            ["eval", "--vectors", "v.npz", "--speakers", "none"],
            3,
            "none: cannot be read: No such file or directory\nCh",
        ),
        (["eval", "none.npz"], 1, "none.npz: no such model file"),
        (["eval", "none.npz", "--vectors", "v.npz"], 3, "none.npz: cannot be read: No such file or directory\nCheck"),
        (["compare", "v.npz", "b.npz"], 3, "v.npz: expected scores of `mrlspk eval --scores`, got vectors\nGive"),
        (["compare", "none.npz", "b.npz"], 3, "none.npz: cannot be read: No such file or directory\nCheck the path."),
    ],
)
@pytest.mark.usefixtures("vectors")
def test_absent_and_mistaken_files_are_told_apart(run, words, code, told):
    outcome = run(*words, *FLAGS)
    assert (outcome.exit_code, told in outcome.stderr) == (code, True), outcome.stderr


@pytest.mark.usefixtures("vectors")
def test_compare_pairs_files_of_vectors(run):
    expected = run("compare", "a.pt", "b.pt", *FLAGS, "--audio-root", "corpus", "--dims", "4,8").json
    document = run("compare", "--vectors", "v.scp", "--vectors", "b.npz", *FLAGS, "--dims", "4,8").json
    assert document["models"] == ["v.scp", "b.npz"]
    assert document["warnings"] == expected["warnings"]
    for mine, theirs in zip(document["trials"][0]["results"], expected["trials"][0]["results"], strict=True):
        assert [each["eer"] for each in mine["models"]] == [each["eer"] for each in theirs["models"]]
        assert mine["pairs"][0]["delta_eer"] == theirs["pairs"][0]["delta_eer"]
    run("eval", "--vectors", "b.npz", *FLAGS, "--scores", "b.scores.npz", "--dims", "4,8")
    stored = run("compare", "b.scores.npz", "--vectors", "v.scp", *FLAGS).json
    assert stored["trials"][0]["results"][0]["pairs"][0]["delta_eer"] == pytest.approx(
        -document["trials"][0]["results"][1]["pairs"][0]["delta_eer"]
    )


@pytest.mark.usefixtures("vectors")
def test_calibration_of_vectors_is_that_of_audio_and_is_used(run):
    audio = run("calibrate", "a.pt", *FLAGS, "--audio-root", "corpus", "--far", 0.1)
    outcome = run("calibrate", "--vectors", "v.npz", *FLAGS, "--dims", "4,8", "--far", 0.1)
    assert outcome.exit_code == 0, outcome.stderr
    assert outcome.json["path"] == "v.calibration.json"
    assert outcome.json["seconds_range"] is None
    for mine, theirs in zip(outcome.json["results"], audio.json["results"], strict=True):
        assert mine["scale"] == pytest.approx(theirs["scale"], rel=1e-4)
    (trials,) = run("eval", "--vectors", "v.npz", *FLAGS).json["trials"]
    for mine, fitted in zip(trials["results"], outcome.json["results"], strict=True):
        assert mine["cllr"] == pytest.approx(fitted["cllr"], rel=1e-5)
    (known,) = run("eval", "--vectors", "v.npz", *FLAGS, "--calibration", "a.calibration.json").json["trials"]
    assert known["results"][0]["cllr"] == pytest.approx(trials["results"][0]["cllr"], rel=1e-4)
    other = run("eval", "--vectors", "v.ark", *FLAGS, "--calibration", "a.calibration.json")
    assert (other.exit_code, "belongs to another model than v.ark" in other.stderr) == (1, True)
    assert "shorter recording" not in run("calibrate", "--vectors", "v.npz", *FLAGS[:2], "--force").stdout


@pytest.mark.usefixtures("vectors")
def test_calibration_that_depends_on_durations_is_refused(run):
    by_duration = "--quality", "duration", "--durations", "0.3,full"
    assert run("calibrate", "a.pt", *FLAGS, "--audio-root", "corpus", *by_duration).exit_code == 0
    outcome = run("eval", "--vectors", "v.npz", *FLAGS, "--calibration", "a.calibration.json")
    assert (outcome.exit_code, "depends on durations, which vectors do not have" in outcome.stderr) == (1, True)
    assert "mrlspk calibrate --vectors v.npz --trials FILE" in outcome.stderr


@pytest.mark.usefixtures("vectors")
def test_cohort_of_vectors_normalises_as_that_of_audio(run):
    norm = "--score-norm", "as", "--top-n", "3"
    audio = run("eval", "a.pt", *FLAGS, "--audio-root", "corpus", *norm, "--cohort", "corpus", "--dims", "8")
    expected = audio.json["trials"][0]["results"][0]
    for cohort in ("v.npz", "v.ark"):
        outcome = run("eval", "--vectors", "v.npz", *FLAGS, *norm, "--cohort", cohort, "--dims", "8")
        assert outcome.exit_code == 0, outcome.stderr
        found = outcome.json["trials"][0]["results"][0]
        assert (found["eer"], found["threshold"]) == pytest.approx((expected["eer"], expected["threshold"]), rel=1e-3)
    outcome = run("eval", "--vectors", "v.npz", *FLAGS, *norm, "--cohort", "corpus")
    assert (outcome.exit_code, "expected a vector file, got a folder" in outcome.stderr) == (3, True)


def test_cohort_of_another_model_is_refused(run, vectors):
    save_vectors(VectorTable(vectors.ids, vectors.vectors, "other"), Path("o.npz"), force=False)
    outcome = run("eval", "--vectors", "v.npz", *FLAGS, "--score-norm", "s", "--cohort", "o.npz")
    assert (outcome.exit_code, "o.npz: holds vectors of another model than v.npz" in outcome.stderr) == (3, True)


def write_transform(path, fingerprint=None, dim=8):
    generator = np.random.default_rng(0)
    matrix, mean, scales = np.linalg.qr(generator.normal(size=(dim, dim)))[0], generator.normal(size=dim), np.ones(dim)
    transform = Transform(mean / 9, matrix, scales, (2, dim), True, 0.0, "scatter", fingerprint)
    save_transform(transform, Path(path), force=True)
    return transform


def test_transform_is_applied_to_vectors(run, vectors):
    transform = write_transform("t.npz", vectors.fingerprint)
    units = vectors.vectors.astype(np.float64) / np.linalg.norm(vectors.vectors, axis=1, keepdims=True)
    moved = (units - transform.mean) @ transform.matrix.T * transform.scales
    save_vectors(VectorTable(vectors.ids, moved.astype(np.float32), dims=(2, 8)), Path("moved.npz"), force=False)
    norm = "--score-norm", "s", "--cohort"
    for flags, cohorts in (((), [(), ()]), (norm, [("v.npz",), ("moved.npz",)])):
        found = run("eval", "t.npz", "--vectors", "v.npz", *FLAGS, *flags, *cohorts[0]).json
        expected = run("eval", "--vectors", "moved.npz", *FLAGS, *flags, *cohorts[1]).json
        assert found["model"]["path"] == "t.npz"
        assert found["fingerprint"] not in {vectors.fingerprint, "unknown"}
        for mine, theirs in zip(found["trials"][0]["results"], expected["trials"][0]["results"], strict=True):
            keys = ("dim", "eer", "threshold", "min_dcf", "min_cllr")
            assert [mine[key] for key in keys] == pytest.approx(
                [theirs[key] for key in keys], abs=1e-4 if flags else 1e-6
            )


def test_calibration_of_a_transform_is_beside_it(run, vectors):
    write_transform("t.npz", vectors.fingerprint)
    outcome = run("calibrate", "t.npz", "--vectors", "v.npz", *FLAGS, "--far", 0.1)
    assert outcome.exit_code == 0, outcome.stderr
    assert outcome.json["path"] == "t.calibration.json"
    results = run("eval", "t.npz", "--vectors", "v.npz", *FLAGS).json["trials"][0]["results"]
    assert [each["cllr"] is None for each in results] == [False, False]
    outcome = run("eval", "--vectors", "v.npz", *FLAGS, "--calibration", "t.calibration.json")
    assert (outcome.exit_code, "belongs to another model than v.npz" in outcome.stderr) == (1, True)
    assert "mrlspk calibrate --vectors v.npz --trials FILE" in outcome.stderr
    write_transform("u.npz", None)
    outcome = run("eval", "u.npz", "--vectors", "v.ark", *FLAGS, "--calibration", "t.calibration.json")
    assert (outcome.exit_code, "mrlspk calibrate u.npz --vectors v.ark" in outcome.stderr) == (1, True)


def test_transform_of_another_model_or_width_is_refused(run, vectors):
    write_transform("t.npz", "other")
    outcome = run("eval", "t.npz", "--vectors", "v.npz", *FLAGS)
    assert (outcome.exit_code, f"v.npz: is of the model {vectors.fingerprint}" in outcome.stderr) == (3, True)
    assert run("eval", "t.npz", "--vectors", "v.ark", *FLAGS).exit_code == 0  # which names no model
    write_transform("t.npz", dim=6)
    outcome = run("eval", "t.npz", "--vectors", "v.npz", *FLAGS)
    assert (outcome.exit_code, "expected 6 values a vector" in outcome.stderr) == (3, True)


@pytest.mark.parametrize("fault", ["zero", "non-finite", "repeated"])
def test_vectors_that_cannot_be_scored_are_refused(run, vectors, fault):
    ids, rows = [*vectors.ids], vectors.vectors.copy()
    if fault == "repeated":
        ids[1] = ids[0]
    else:
        rows[1] = 0 if fault == "zero" else np.nan
    save_vectors(VectorTable(tuple(ids), rows), Path("bad.npz"), force=False)
    outcome = run("eval", "--vectors", "bad.npz", *FLAGS)
    assert outcome.exit_code == 3
    assert f"bad.npz: {ids[1]}: expected " in outcome.stderr


@pytest.mark.usefixtures("vectors")
@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("eval", "v.npz"), "--vectors: v.npz cannot be applied to itself"),
        (("eval", "--audio-root", "corpus"), "--audio-root: vectors need no audio"),
        (("eval", "--durations", "1"), "--durations: vectors have no audio to crop"),
        (("eval", "--speech", "auto"), "--speech: vectors are no audio"),
        (("eval", "--channel", "left"), "--channel: vectors are no audio"),
        (("compare", "a.pt", "--vectors", "v.scp"), "--vectors: expected one file of vectors with models, got 2"),
        (("compare",), "expected two or more models, got 1"),
        (("compare", "--vectors", "v.npz"), "v.npz is named more than once"),
        (("calibrate", "--quality", "duration"), "--quality: the durations of vectors are unknown"),
        (("calibrate", "--durations", "1"), "--durations: the durations of vectors are unknown"),
    ],
)
def test_request_that_vectors_cannot_meet_is_refused(run, arguments, told):
    command, *rest = arguments
    outcome = run(command, *rest, "--vectors", "v.npz", *FLAGS)
    assert (outcome.exit_code, told in outcome.stderr) == (2, True), outcome.stderr


@pytest.mark.usefixtures("vectors")
@pytest.mark.parametrize("command", ["eval", "compare", "calibrate"])
def test_network_cannot_be_applied_to_vectors(run, command):
    outcome = run(command, "a.pt", "--vectors", "v.npz", *FLAGS)
    assert (outcome.exit_code, "a.pt: has a network of its own" in outcome.stderr) == (1, True), outcome.stderr
    assert "mrlspk embed DIR --model a.pt -o FILE.npz" in outcome.stderr


@pytest.mark.usefixtures("vectors")
def test_trials_must_be_named_and_speakers_belong_to_vectors(run):
    outcome = run("eval", "--vectors", "v.npz")
    assert (outcome.exit_code, "Give --trials FILE" in outcome.stderr) == (2, True)
    outcome = run("eval", "a.pt", *FLAGS, "--audio-root", "corpus", "--speakers", "gone")
    assert (outcome.exit_code, "--speakers: given without vectors" in outcome.stderr) == (2, True)
    outcome = run("eval", "--vectors", "v.npz", *FLAGS, "--baselines")
    assert (outcome.exit_code, "baselines need a PyTorch checkpoint" in outcome.stderr) == (1, True)

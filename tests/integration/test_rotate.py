"""``mrlspk rotate``: on a tiny corpus, and on real speech."""

from typing import get_args

import numpy as np
import pytest
import soundfile
import torch

import mrlspk
from conformance.reference import read_reference, write_published
from factories import write_voices
from full_disk import files_up_to
from mrlspk.cli.rotate import MethodChoice
from mrlspk.metrics.eer import equal_error_rate
from mrlspk.models.checkpoints import load_model
from mrlspk.rotation.closed_form import Method, fit_rotation, read_rotation
from mrlspk.rotation.transform import fit_transform

SHORT = "--crop-seconds", 0.4  # the tiny files have half a second


@pytest.fixture
def rotate(run, write_model, tiny_corpus, tmp_path):
    """Run the command on a tiny model and corpus."""
    model = write_model(tmp_path / "model.pt")

    def command(*arguments, speech=tiny_corpus.root, model=model, output="rotated.pt"):
        return run("rotate", model, "--speech", speech, "-o", tmp_path / output, *SHORT, *arguments, "--json")

    return command


def cosines(model, paths, *, dim=None):
    encoder = mrlspk.load(model, device="cpu")
    vectors = np.stack([encoder.embed(path, dim=dim) for path in paths]).astype(np.float64)
    return vectors @ vectors.T


def test_command_offers_every_method_and_auto():
    assert {*MethodChoice} == {"auto", *get_args(Method)} - {"none"}


def test_rotated_model_is_used_like_any_other(rotate, run, tiny_corpus, tmp_path):
    rotated = rotate()
    assert rotated.exit_code == 0, rotated.stderr
    report, path = rotated.json, tmp_path / "rotated.pt"
    assert (report["command"], report["path"], report["dims"]) == ("rotate", str(path), [4, 8])
    assert (report["speakers"], report["utterances"], report["bytes"]) == (4, 16, path.stat().st_size)
    assert len(report["rotation"]["choice"]["candidates"]) == 7
    assert sum(report["rotation"]["spectrum"]) == pytest.approx(1)

    scored = run("eval", path, "--trials", tiny_corpus.trials, "--audio-root", tiny_corpus.root, "--json")
    assert [result["dim"] for result in scored.json["trials"][0]["results"]] == [4, 8]
    embedded = run("embed", tiny_corpus.root, "--model", path, "--dim", 4, "--json").json["embeddings"]
    assert {(each["dim"], len(each["embedding"])) for each in embedded} == {(4, 4)}
    inspected = run("pretrained", "inspect", path, "--json").json
    assert (inspected["family"], inspected["dims"]) == ("mrlspk", [4, 8])


@pytest.mark.parametrize("method", MethodChoice)
def test_every_method_keeps_full_width_cosines(rotate, tiny_corpus, tmp_path, method):
    assert rotate("--method", method).exit_code == 0
    files = [tiny_corpus.root / utterance_id for utterance_id in tiny_corpus.utterance_ids]
    before, after = (cosines(tmp_path / name, files) for name in ("model.pt", "rotated.pt"))
    assert np.abs(before - after).max() < 1e-5


def test_rotated_model_is_evaluated_and_calibrated_on_its_own_trials(rotate, run, tmp_path):
    report = rotate().json
    path = tmp_path / "rotated.pt"
    scored = run("eval", path, "--json")
    assert scored.exit_code == 0, scored.stderr
    (trials,) = scored.json["trials"]
    assert trials["source"] == f"trials among the speakers that {path} was rotated on"
    for key in ("sha256", "n_target", "n_nontarget"):
        assert trials[key] == report["held_out"][key]
    full = [each["eer"] for each in (trials["results"][-1], report["held_out"]["results"][-1])]
    assert full[0] == pytest.approx(full[1], abs=1e-6)  # a rotation does not change full-width cosines
    assert "was rotated on the 4 speakers of these trials" in scored.stderr
    calibrated = run("calibrate", path, "--json")
    assert calibrated.exit_code == 0, calibrated.stderr
    assert [each["sha256"] for each in calibrated.json["trials"]] == [trials["sha256"]]


def test_held_out_rates_are_of_rotations_that_have_not_seen_the_speakers(rotate, tiny_corpus, tmp_path):
    found = rotate("--dims", "2,3").json["held_out"]
    assert [each["dim"] for each in found["results"]] == [2, 3, 8]
    entry = torch.load(tmp_path / "rotated.pt", weights_only=True)["rotation"]
    model = mrlspk.load(tmp_path / "model.pt", device="cpu")
    lines = [line.split() for line in (tmp_path / "rotated.trials.txt").read_text().splitlines()]
    vectors = {name: model.embed(tiny_corpus.root / name).astype(float) for name in tiny_corpus.utterance_ids}
    scores = {dim: [] for dim in (2, 3, 8)}
    for _, enroll, test in lines:
        fold = {name.split("/")[0] for _, *names in lines for name in names if linked(lines, name, enroll)}
        others = [name for name in tiny_corpus.utterance_ids if name.split("/")[0] not in fold]
        speakers = np.unique([name.split("/")[0] for name in others], return_inverse=True)[1]
        stacked = np.stack([vectors[name] for name in others])
        matrix = fit_rotation(stacked, speakers, method=entry["method"], parameter=entry["parameter"]).matrix
        for dim, column in scores.items():
            one, other = (matrix[:dim] @ vectors[name] for name in (enroll, test))
            column.append(one @ other / np.linalg.norm(one) / np.linalg.norm(other))
    is_target = np.array([line[0] == "1" for line in lines])
    ranges = torch.load(tmp_path / "rotated.pt", weights_only=True)["score_ranges"]
    for result, known in zip(found["results"], ranges, strict=True):
        column = np.array(scores[result["dim"]])
        assert result["eer"] == pytest.approx(equal_error_rate(column, is_target), abs=1e-6)
        for kind, own in (("same", is_target), ("different", ~is_target)):
            quantiles = [known[kind][level] for level in ("p05", "p50", "p95")]
            assert quantiles == pytest.approx(np.quantile(column[own], (0.05, 0.5, 0.95)), abs=1e-5)


def linked(lines, name, other):
    """Return whether the speakers of two utterances are in a fold of two: equal, or in one non-target trial."""
    speakers = {name.split("/")[0], other.split("/")[0]}
    return len(speakers) == 1 or any({one.split("/")[0], two.split("/")[0]} == speakers for _, one, two in lines)


def test_trials_that_are_gone_or_changed_are_named(rotate, run, tmp_path):
    rotate()
    trials = tmp_path / "rotated.trials.txt"
    text = trials.read_text()
    trials.write_text(text.partition("\n")[2])
    changed = run("eval", tmp_path / "rotated.pt")
    assert (changed.exit_code, "is not the list that was written with" in changed.stderr) == (3, True)
    trials.unlink()
    gone = run("eval", tmp_path / "rotated.pt")
    assert (gone.exit_code, "are not beside it" in gone.stderr) == (3, True)


def test_verify_shows_the_ranges_of_a_rotated_model(rotate, run, tmp_path):
    rotate()
    ranges = torch.load(tmp_path / "rotated.pt", weights_only=True)["score_ranges"]
    assert [each["dim"] for each in ranges] == [4, 8]
    root = write_voices(tmp_path / "voices", 2, seconds=1.5, syllables=True)
    pair = root / "speaker0/a/1.wav", root / "speaker1/a/1.wav"
    assert run("verify", *pair, "--model", tmp_path / "rotated.pt", "--json").json["score_ranges"] == ranges


def test_full_disk_shows_the_rotation_all_the_same(rotate, tmp_path):
    rotate("--no-cache", output="first.pt")
    with files_up_to(100):
        outcome = rotate("--no-cache")
    assert outcome.exit_code == 1
    assert "cannot be written" in outcome.stderr
    assert (outcome.json["path"], outcome.json["sha256"]) == (None, None)
    assert len(outcome.json["rotation"]["choice"]["candidates"]) == 7
    assert not list(tmp_path.glob("rotated*"))


def test_first_value_of_svd_carries_most_energy(rotate, tiny_corpus, tmp_path):
    report = rotate("--method", "svd").json
    encoder = mrlspk.load(tmp_path / "rotated.pt", device="cpu")
    values = np.stack([encoder.embed(tiny_corpus.root / each) for each in tiny_corpus.utterance_ids])
    assert report["rotation"]["spectrum"] == pytest.approx((values**2).mean(0), abs=1e-5)
    assert report["rotation"]["spectrum"] == sorted(report["rotation"]["spectrum"], reverse=True)
    assert (report["rotation"]["parameter"], "choice" in report["rotation"]) == (None, False)


def test_equal_arguments_write_equal_files_another_seed_does_not(rotate):
    draw = "--utterances-per-speaker", 2, "--method", "svd"
    hashes = [rotate(*draw, *seed, output=name).json["sha256"]
              for name, seed in (("a.pt", ()), ("b.pt", ()), ("c.pt", ("--seed", 1)))]  # fmt: skip
    assert hashes[0] == hashes[1] != hashes[2]
    assert rotate("--max-speakers", 1, "--method", "svd", "--force").json["speakers"] == 1


@pytest.mark.parametrize("suffix", ["pt", "safetensors"])
def test_rotation_is_kept_by_conversion(rotate, run, tmp_path, suffix):
    report = rotate().json
    kept = tmp_path / f"kept.{suffix}"
    assert run("pretrained", "convert", tmp_path / "rotated.pt", "-o", kept).exit_code == 0
    if suffix == "pt":
        entries = [torch.load(path, weights_only=True) for path in (tmp_path / "rotated.pt", kept)]
        assert entries[0]["rotation"] == entries[1]["rotation"]
        rotation = read_rotation(entries[1]["rotation"], kept)
        assert (rotation.method, rotation.spectrum.tolist()) == (
            report["rotation"]["method"],
            report["rotation"]["spectrum"],
        )
        assert entries[1]["rotation"]["choice"] == report["rotation"]["choice"]
        model, rotated = (mrlspk.load(tmp_path / name, device="cpu") for name in ("model.pt", "rotated.pt"))
        noise = np.random.default_rng(0).normal(size=8000)
        assert rotation.matrix @ model.embed(noise) == pytest.approx(rotated.embed(noise), abs=1e-5)
    assert "rotation" in run("pretrained", "inspect", kept).stdout


def test_licence_of_the_model_is_kept(rotate, tmp_path):
    rotate("--method", "svd")
    first = torch.load(tmp_path / "rotated.pt", weights_only=True)["converted_from"]
    assert (first["file"], first["base"]["family"], first["base"]["licence"]) == ("model.pt", "redimnet", "unknown")
    rotate("--method", "class_svd", model=tmp_path / "rotated.pt", output="again.pt")
    second = torch.load(tmp_path / "again.pt", weights_only=True)["converted_from"]
    assert (second["file"], second["base"]["base"]) == ("rotated.pt", first["base"])


def test_output_normalisation_is_folded_in(run, tiny_corpus, tmp_path):
    reference = read_reference("redimnet-opt-conv-hop240-tstp")
    reference["config"] |= {"emb_bn": True}
    model = write_with_output_norm(reference, tmp_path / "published.pt")
    rotated = run(
        "rotate", model, "--speech", tiny_corpus.root, "-o", tmp_path / "rotated.pt", "--method", "svd", "--json"
    )
    assert rotated.exit_code == 0, rotated.stderr
    assert rotated.json["dims"] == [64, 128, 192]
    files = [tiny_corpus.root / utterance_id for utterance_id in tiny_corpus.utterance_ids[::3]]
    before, after = (cosines(path, files) for path in (model, tmp_path / "rotated.pt"))
    assert np.abs(before - after).max() < 1e-5


def write_with_output_norm(reference, path):
    write_published(reference, path)
    contents = torch.load(path, weights_only=True)
    rng = torch.Generator().manual_seed(0)
    for name, low in (("weight", 0.5), ("bias", -0.5), ("running_mean", -0.5), ("running_var", 0.5)):
        contents["state_dict"][f"bn2.{name}"] = low + torch.rand(192, generator=rng)
    contents["state_dict"]["bn2.num_batches_tracked"] = torch.tensor(1)
    torch.save(contents, path)
    return path


def test_widths_are_the_requested_ones_and_the_full_one(rotate):
    assert rotate("--dims", "2,3").json["dims"] == [2, 3, 8]
    refused = rotate("--dims", "4,16", output="wide.pt")
    assert refused.exit_code == 2
    assert "a width of 16 needs training" in refused.stderr
    assert rotate("--dims", "none").exit_code == 2


def test_existing_file_is_overwritten_only_with_force(rotate, tmp_path):
    (tmp_path / "rotated.pt").write_text("mine")
    assert (rotate().exit_code, (tmp_path / "rotated.pt").read_text()) == (1, "mine")
    assert rotate("--force").exit_code == 0
    assert rotate(output="model.onnx").exit_code == 2


def test_unusable_speech_fails_and_writes_nothing(rotate, tiny_corpus, tmp_path):
    assert rotate(speech=tmp_path / "absent").exit_code == 3
    (tmp_path / "empty").mkdir()
    assert rotate(speech=tmp_path / "empty").exit_code == 3
    few = rotate("--utterances-per-speaker", 1)
    assert few.exit_code == 3
    assert "needs 4 speakers with two files, got 0" in few.stderr
    assert "--method svd" in few.stderr
    long = rotate("--crop-seconds", 3)
    assert long.exit_code == 3
    assert "16 of 16 files are shorter than 3 s" in long.stderr
    (tiny_corpus.root / "speaker0" / "a" / "1.wav").write_text("no audio")
    broken = rotate("--method", "svd")
    assert broken.exit_code == 3
    assert "1.wav" in broken.stderr
    assert not (tmp_path / "rotated.pt").exists()


def test_files_too_short_for_trials_are_still_fitted_on(rotate, tiny_corpus):
    path = tiny_corpus.root / "speaker1" / "a" / "1.wav"
    samples, rate = soundfile.read(path)
    soundfile.write(path, samples[:4800], rate)
    rotated = rotate()
    assert (rotated.exit_code, rotated.json["utterances"]) == (0, 16)
    assert "1 of 16 files are shorter than 0.4 s" in rotated.stderr


def test_table_names_the_selected_rotation(run, write_model, tiny_corpus, tmp_path):
    arguments = "--speech", tiny_corpus.root, "-o", tmp_path / "rotated.pt", *SHORT
    shown = run("rotate", write_model(tmp_path / "model.pt"), *arguments).stdout
    for text in ("class_svd", "lda_qr 4", "EER % at 4", "16 utterances of 4 speakers", "energy %"):
        assert text in shown
    assert f"To evaluate: mrlspk eval {tmp_path / 'rotated.pt'}\n" in shown
    svd = run("rotate", tmp_path / "model.pt", *arguments, "--method", "svd", "--force").stdout
    assert "8: 100.0 %" in svd
    assert f"To evaluate: mrlspk eval {tmp_path / 'rotated.pt'} --trials FILE --audio-root DIR\n" in svd


@pytest.fixture
def real(shared, tmp_path):
    """The shared backbone, a corpus of twelve voices of two languages, and two seconds of each of ten others."""
    corpus = tmp_path / "train"
    corpus.mkdir()
    for language in ("ls", "ar"):
        for speaker in sorted((shared / "speech" / "train").glob(f"{language}*"))[:6]:
            (corpus / speaker.name).symlink_to(speaker)
    speakers = sorted((shared / "speech" / "test-short").iterdir())
    files = [min(speaker.rglob("*.wav")) for speaker in speakers if speaker.is_dir()]
    assert [path.parts[-3][:2] for path in files] == ["ar"] * 5 + ["ls"] * 5
    return shared / "pretrained" / "redimnet-small-speech.pt", corpus, files


@pytest.mark.slow
@pytest.mark.usefixtures("speech_cache")
@pytest.mark.parametrize("method", ["svd", "auto"])
def test_rotation_of_real_speech_keeps_full_width_cosines(run, real, tmp_path, method):
    model, corpus, files = real
    drawn = "--method", method, "--utterances-per-speaker", 2, "--dims", "16,32,64,128"
    rotated = run("rotate", model, "--speech", corpus, "-o", tmp_path / "rotated.pt", *drawn, "--json")
    assert (rotated.exit_code, rotated.json["dims"]) == (0, [16, 32, 64, 128, 192])
    before, after = (cosines(path, files) for path in (model, tmp_path / "rotated.pt"))
    assert np.abs(before - after).max() < 1e-5


@pytest.mark.slow
@pytest.mark.usefixtures("speech_cache")
def test_rotated_prefixes_approximate_the_whole_better_than_cuts(run, real, tmp_path):
    model, corpus, files = real
    drawn = "--method", "svd", "--utterances-per-speaker", 2, "--dims", "32"
    assert run("rotate", model, "--speech", corpus, "-o", tmp_path / "rotated.pt", *drawn).exit_code == 0
    encoder = mrlspk.load(model, device="cpu")
    vectors = np.stack([encoder.embed(path) for path in files]).astype(np.float64)
    cut = vectors[:, :32] / np.linalg.norm(vectors[:, :32], axis=1, keepdims=True)
    rotated = cosines(tmp_path / "rotated.pt", files, dim=32)
    assert np.abs(rotated - vectors @ vectors.T).mean() < np.abs(cut @ cut.T - vectors @ vectors.T).mean()


TRANSFORM = "--centre", "--flatten", 0.2


def test_transform_is_folded_into_the_head(rotate, tiny_corpus, tmp_path):
    report = rotate(*TRANSFORM).json
    assert report["transform"] == {"centred": True, "flatten": 0.2, "order": "energy"}
    assert report["rotation"] is None
    model, transformed = (mrlspk.load(tmp_path / name, device="cpu") for name in ("model.pt", "rotated.pt"))
    files = [tiny_corpus.root / each for each in tiny_corpus.utterance_ids]
    speakers = np.array([each.partition("/")[0] for each in tiny_corpus.utterance_ids])
    # The head's own values before unit length, which the encoder's embeddings no longer have.
    own = np.stack([raw_embedding(tmp_path / "model.pt", each) for each in files])
    found = fit_transform(own, np.unique(speakers, return_inverse=True)[1], centre=True, flatten=0.2, order="energy",
                          unit_length=False)  # fmt: skip
    expected = (own - found.mean) @ found.scaled_matrix.T
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    embedded = np.stack([transformed.embed(each) for each in files])
    assert np.abs((embedded * expected).sum(1)) == pytest.approx(np.ones(len(files)), abs=1e-4)
    assert np.abs(cosines(tmp_path / "model.pt", files) - embedded @ embedded.T).max() > 0.1
    assert model.embed_dim == transformed.embed_dim


def raw_embedding(model, path):
    """Return the embedding of a file, not of unit length."""
    encoder = load_model(model).encoder.eval()
    with torch.inference_mode():
        return encoder(torch.from_numpy(soundfile.read(path, dtype="float32")[0])[None])[0].numpy()


def test_rotation_by_a_method_says_that_it_is_no_transform(rotate):
    assert rotate("--method", "svd").json["transform"] == {"centred": False, "flatten": 0.0, "order": None}


def test_transform_of_order_alone_keeps_full_width_cosines(rotate, tiny_corpus, tmp_path):
    report = rotate("--order", "scatter").json
    assert report["transform"] == {"centred": False, "flatten": 0.0, "order": "scatter"}
    files = [tiny_corpus.root / utterance_id for utterance_id in tiny_corpus.utterance_ids]
    before, after = (cosines(tmp_path / name, files) for name in ("model.pt", "rotated.pt"))
    assert np.abs(before - after).max() < 1e-5


def test_transform_is_kept_by_conversion_and_its_base_is_scored(rotate, run, tiny_corpus, tmp_path):
    rotate(*TRANSFORM)
    lists = "--trials", tiny_corpus.trials, "--audio-root", tiny_corpus.root
    scored = run("eval", tmp_path / "rotated.pt", *lists, "--baselines", "--json")
    assert scored.exit_code == 0, scored.stderr
    own = run("eval", tmp_path / "model.pt", *lists, "--json").json["trials"][0]["results"][-1]
    baselines = {each["name"]: each["results"] for each in scored.json["trials"][0]["baselines"]}
    assert baselines["own"][-1]["eer"] == pytest.approx(own["eer"])
    assert "rotation" not in baselines
    assert run("pretrained", "convert", tmp_path / "rotated.pt", "-o", tmp_path / "kept.pt").exit_code == 0
    entry = torch.load(tmp_path / "kept.pt", weights_only=True)["transform"]
    assert entry == {"centred": True, "flatten": 0.2, "order": "energy"}

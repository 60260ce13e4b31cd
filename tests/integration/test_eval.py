import shutil

import numpy as np
import pytest
import soundfile
from scipy.interpolate import interp1d
from scipy.optimize import brentq
from sklearn.metrics import roc_curve

import mrlspk
from mrlspk.config import Config
from mrlspk.config.data import DataConfig
from mrlspk.config.evaluation import EvaluationConfig, TrialListConfig
from mrlspk.inference import decoding


def eer_of(scores, is_target):
    """Return the crossing of scikit-learn's ROC, found by bisection."""
    p_fa, p_hit, _ = roc_curve(is_target, scores, drop_intermediate=False)
    return brentq(lambda rate: 1 - rate - interp1d(p_fa, p_hit)(rate), 0, 1)


def named_lists(corpus, n=1):
    entry = TrialListConfig(path=corpus.trials, audio_root=corpus.root)
    return Config(evaluation=EvaluationConfig(trials=(entry,) * n))


@pytest.fixture
def model(tmp_path, write_model):
    return write_model(tmp_path / "run" / "best.pt")


@pytest.fixture
def flags(tiny_corpus):
    return "--trials", tiny_corpus.trials, "--audio-root", tiny_corpus.root


def test_metrics_equal_files_embedded_one_by_one(run, model, tiny_corpus, flags):
    outcome = run("eval", model, *flags, "--json")
    assert outcome.exit_code == 0
    assert outcome.json["command"] == "eval"
    assert outcome.json["model"] == {"path": str(model), "source": "argument"}
    (trials,) = outcome.json["trials"]
    assert (trials["path"], trials["n_target"], trials["n_nontarget"]) == (str(tiny_corpus.trials), 24, 96)
    rows = [line.split() for line in tiny_corpus.trials.read_text().splitlines()]
    encoder, is_target = mrlspk.load(model), np.array([row[0] == "1" for row in rows])
    for result, dim in zip(trials["results"], (4, 8), strict=True):
        vectors = {name: encoder.embed(tiny_corpus.root / name, dim=dim) for name in tiny_corpus.utterance_ids}
        scores = np.array([vectors[enroll] @ vectors[test] for _, enroll, test in rows], dtype=np.float64)
        assert result["dim"] == dim
        assert result["eer"] == pytest.approx(eer_of(scores, is_target), abs=1e-6)
        below = np.mean(scores[is_target] < result["threshold"])
        above = np.mean(scores[~is_target] >= result["threshold"])
        assert abs(below - above) <= 1 / 24


def test_json_holds_the_keys_that_are_computed(run, model, flags):
    result = run("eval", model, *flags, "--json").json["trials"][0]["results"][0]
    assert [each["p_target"] for each in result["dcf"]] == [0.01, 0.05]
    assert all(each["act_dcf"] is None for each in result["dcf"])
    assert result["min_dcf"] == result["dcf"][0]["min_dcf"]
    assert result["cllr"] is None
    assert result["calibrated_threshold"] is None
    assert result["eer_ci"] is None  # there are four speakers
    assert 0 <= result["min_cllr"] <= 1
    assert 0.5 <= result["accuracy"] <= 1


def test_table_shows_percent_and_every_prior(run, model, flags):
    result = run("eval", model, *flags, "--p-target", 0.2, "--p-target", 0.001, "--json").json["trials"][0]["results"]
    table = run("eval", model, *flags, "--p-target", 0.2, "--p-target", 0.001).stdout
    assert "minDCF(0.2)  minDCF(0.001)" in table
    assert "24 target and 96 non-target trials" in table
    assert all(f"{100 * each['eer']:.2f}" in table for each in result)


def test_each_file_is_decoded_once_for_all_lists_and_widths(run, model, flags, tiny_corpus, tmp_path, monkeypatch):
    decoded = []
    open_audio = decoding.open_audio
    monkeypatch.setattr(
        decoding, "open_audio", lambda source, **options: decoded.append(source.path) or open_audio(source, **options)
    )
    second = shutil.copy(tiny_corpus.trials, tmp_path / "again.txt")
    outcome = run("eval", model, *flags, "--trials", second, "--json")
    assert len(outcome.json["trials"]) == 2
    assert sorted(decoded) == [tiny_corpus.root / name for name in tiny_corpus.utterance_ids]


def test_lists_take_their_own_folders_in_order(run, model, tiny_corpus, tmp_path):
    moved = tmp_path / "moved"
    shutil.copytree(tiny_corpus.root / "speaker0", moved / "speaker0")
    shutil.copytree(tiny_corpus.root / "speaker1", moved / "speaker1")
    few = tmp_path / "few.txt"
    few.write_text("1 speaker0/a/1.wav speaker0/b/1.wav\n0 speaker0/a/1.wav speaker1/a/1.wav\n")
    roots = "--audio-root", tiny_corpus.root, "--audio-root", moved
    outcome = run("eval", model, "--trials", tiny_corpus.trials, "--trials", few, *roots, "--json")
    assert [each["audio_root"] for each in outcome.json["trials"]] == [str(tiny_corpus.root), str(moved)]


def test_a_list_beside_its_audio_needs_no_folder(run, model, tiny_corpus):
    beside = shutil.copy(tiny_corpus.trials, tiny_corpus.root / "trials.txt")
    assert run("eval", model, "--trials", beside).exit_code == 0


def test_bare_form_scores_the_lists_that_the_newest_run_carries(run, tiny_corpus, write_model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MRLSPK_MODEL", raising=False)
    write_model(tmp_path / "checkpoints" / "first" / "best.pt", config=named_lists(tiny_corpus))
    outcome = run("eval", "--dims", "4,8")
    assert outcome.exit_code == 0
    assert "checkpoints/first/best.pt" in outcome.stderr
    assert "evaluation.trials of checkpoints/first/best.pt" in outcome.stdout


def test_test_folders_give_seeded_trials(run, tiny_corpus, write_model, tmp_path):
    settings = EvaluationConfig(test_datasets={"tiny": tiny_corpus.root}, n_generated_trials=20)
    model = write_model(tmp_path / "model.pt", config=Config(evaluation=settings))
    first, second = (run("eval", model, "--json").json["trials"][0] for _ in range(2))
    assert first == second
    assert first["n_target"] == first["n_nontarget"] == 10
    assert "generated from evaluation.test_datasets.tiny" in first["source"]


def test_validation_trials_of_the_run_come_last(run, tiny_corpus, write_model, tmp_path):
    config = Config(data=DataConfig(train_dataset=tiny_corpus.root, val_dataset=None))
    model = write_model(tmp_path / "run" / "best.pt", config=config)
    shutil.copy(tiny_corpus.trials, tmp_path / "run" / "validation-trials.txt")
    outcome = run("eval", model)
    assert outcome.exit_code == 0
    assert f"validation trials of the run that wrote {model}" in outcome.stdout


def test_lists_of_the_configuration_outrank_those_of_the_checkpoint(run, tiny_corpus, write_model, tmp_path):
    model = write_model(tmp_path / "model.pt", config=named_lists(tiny_corpus))
    settings = tmp_path / "two.yaml"
    entry = f"{{path: {tiny_corpus.trials}, audio_root: {tiny_corpus.root}}}"
    settings.write_text(f"evaluation:\n  trials: [{entry}, {entry}]\n  p_target: [0.3]\n")
    outcome = run("eval", model, "--config", settings, "--json")
    assert [each["source"] for each in outcome.json["trials"]] == ["evaluation.trials of the configuration"] * 2
    assert outcome.json["trials"][0]["results"][0]["dcf"][0]["p_target"] == 0.3


def test_missing_lists_of_a_checkpoint_are_an_error(run, tiny_corpus, write_model, tmp_path):
    model = write_model(tmp_path / "model.pt", config=named_lists(tiny_corpus))
    tiny_corpus.trials.unlink()
    outcome = run("eval", model)
    assert outcome.exit_code == 3
    assert str(tiny_corpus.trials) in outcome.stderr
    assert "--trials" in outcome.stderr


def test_without_any_trials_the_error_says_how_to_give_them(run, model):
    outcome = run("eval", model)
    assert outcome.exit_code == 3
    assert "--trials FILE and --audio-root DIR" in outcome.stderr


def test_a_bad_line_is_named_with_its_number(run, model, tiny_corpus, flags):
    with tiny_corpus.trials.open("a") as file:
        file.write("yes a c\n")
    outcome = run("eval", model, *flags)
    assert outcome.exit_code == 3
    assert f"{tiny_corpus.trials}:121: expected '<0|1> <enroll> <test>', got 'yes a c'" in outcome.stderr
    assert outcome.stdout == ""


def test_missing_audio_is_counted_and_named(run, model, tiny_corpus, flags):
    shutil.rmtree(tiny_corpus.root / "speaker2")
    outcome = run("eval", model, *flags)
    assert outcome.exit_code == 3
    assert f"{tiny_corpus.trials}: 4 of 16 utterances are not in {tiny_corpus.root}" in outcome.stderr
    assert "speaker2/b/2.wav" in outcome.stderr
    assert "--audio-root" in outcome.stderr


def test_unreadable_audio_is_named(run, model, tiny_corpus, flags):
    (tiny_corpus.root / "speaker3/a/2.wav").write_text("no audio")
    outcome = run("eval", model, *flags)
    assert outcome.exit_code == 3
    assert "1 of 16 utterances cannot be embedded" in outcome.stderr
    assert "speaker3/a/2.wav" in outcome.stderr


def test_silence_is_scored_with_a_warning(run, model, tiny_corpus, flags):
    soundfile.write(tiny_corpus.root / "speaker3/a/2.wav", np.zeros(8000), 16000)
    outcome = run("eval", model, *flags)
    assert outcome.exit_code == 0
    assert "speaker3/a/2.wav: silent" in outcome.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--dims", "16"], "so it has no width 16"),
        (["--dims", "16", "--allow-untrained-dim"], "so it has no width 16"),
        (["--dims", "5"], "not trained for a width of 5"),
        (["--dims", "four"], "expected widths such as 64,128"),
        (["--p-target", "1.5"], "expected a share between 0 and 1"),
        (["--audio-root", "."], "2 folders of audio for 1 trial list"),
    ],
)
def test_usage_errors_exit_with_2(run, model, flags, arguments, message):
    outcome = run("eval", model, *flags, *arguments)
    assert outcome.exit_code == 2
    assert message in outcome.stderr
    assert outcome.stdout == ""


def test_audio_folder_without_a_list_is_a_usage_error(run, model):
    outcome = run("eval", model, "--audio-root", ".")
    assert outcome.exit_code == 2
    assert "--trials" in outcome.stderr


def test_untrained_width_is_scored_on_request(run, model, flags):
    outcome = run("eval", model, *flags, "--dims", "5", "--allow-untrained-dim", "--json")
    assert outcome.json["trials"][0]["results"][0]["dim"] == 5


def test_unknown_configuration_key_fails_with_the_nearest(run, model, flags):
    outcome = run("eval", model, *flags, "--set", "evaluation.p_targets=[0.1]")
    assert outcome.exit_code == 1
    assert "evaluation.p_target" in outcome.stderr


@pytest.mark.slow
def test_published_checkpoint_separates_english_speakers(run, shared, tmp_path):
    lines = (shared / "speech" / "trials-english.txt").read_text().splitlines()
    kept = [line for line in lines if all(name.endswith(("01.wav", "02.wav")) for name in line.split()[1:])]
    few = tmp_path / "few.txt"
    few.write_text("\n".join(kept))
    checkpoint = shared / "pretrained" / "redimnet-small-speech.pt"
    outcome = run("eval", checkpoint, "--trials", few, "--audio-root", shared / "speech" / "test", "--json")
    (trials,) = outcome.json["trials"]
    assert (trials["n_target"], trials["n_nontarget"]) == (5, 40)
    (result,) = trials["results"]
    assert result["dim"] == 192
    assert result["eer"] <= 0.05

"""``--speech`` on the commands that embed: what they record, and what does not fit together."""

import json

import numpy as np
import pytest
import soundfile

from factories import RATE, write_voices
from integration.conftest import TinyCorpus
from mrlspk.data.speech.energy import EnergyDetector
from mrlspk.errors import MissingDependencyError
from mrlspk.models.checkpoints import read_checkpoint

VERSION = EnergyDetector.version


@pytest.fixture
def model(tmp_path, write_model):
    return write_model(tmp_path / "best.pt")


@pytest.fixture
def corpus(tmp_path):
    """Three voices of 1.2 s with a second of silence behind them, two files each."""
    root = write_voices(tmp_path / "corpus", 3, sessions=("a",), seconds=1.2, syllables=True)
    for path in [*root.rglob("*.wav")]:
        samples, _ = soundfile.read(path)
        soundfile.write(path, np.concatenate([samples, np.zeros(RATE)]), RATE)
    corpus = TinyCorpus(root, tmp_path / "trials.txt")
    corpus.write_all_trials()
    return corpus


@pytest.fixture
def trials(corpus):
    return "--trials", corpus.trials, "--audio-root", corpus.root, "--dims", 8


def test_embeddings_say_how_much_of_them_is_speech(run, model, corpus):
    auto = run("embed", corpus.root, "--model", model, "--json").json
    assert (auto["speech"], auto["speech_detector"]) == ("auto", VERSION)
    assert [each["seconds"] for each in auto["embeddings"]] == [2.2] * 6
    assert [each["speech_seconds"] for each in auto["embeddings"]] == pytest.approx([1.3] * 6, abs=0.2)
    whole = run("embed", corpus.root, "--model", model, "--speech", "all", "--json").json
    assert (whole["speech"], whole["speech_detector"]) == ("all", None)
    assert [each["speech_seconds"] for each in whole["embeddings"]] == [None] * 6
    pairs = zip(auto["embeddings"], whole["embeddings"], strict=True)
    assert all(np.dot(one["embedding"], other["embedding"]) < 0.9999 for one, other in pairs)


def read_file(path):
    """Return the seconds of speech and the detectors that a file of embeddings names."""
    if path.suffix == ".npz":
        with np.load(path) as arrays:
            seconds = [None if np.isnan(each) else each for each in arrays["speech_seconds"]]
            return seconds, {str(arrays["speech_detector"]) or None}
    if path.suffix == ".jsonl":
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        return [row["speech_seconds"] for row in rows], {row["speech_detector"] for row in rows}
    from pyarrow import parquet

    table = parquet.read_table(path)
    return table["speech_seconds"].to_pylist(), {table.schema.metadata[b"speech_detector"].decode() or None}


@pytest.mark.parametrize("suffix", [".npz", ".jsonl", ".parquet"])
@pytest.mark.parametrize(("mode", "version"), [("auto", VERSION), ("all", None)])
def test_files_of_embeddings_hold_speech_and_detector(run, model, corpus, tmp_path, suffix, mode, version):
    out = tmp_path / f"out{suffix}"
    shown = run("embed", corpus.root, "--model", model, "--speech", mode, "-o", out, "--json").json["embeddings"]
    assert read_file(out) == ([each["speech_seconds"] for each in shown], {version})


def test_tables_show_the_seconds_of_speech(run, model, corpus):
    outcome = run("embed", corpus.root / "speaker0/a/1.wav", "--model", model)
    header, row = outcome.stdout.splitlines()
    assert "speech" in header
    assert float(row.split()[2]) == pytest.approx(1.3, abs=0.2)
    assert " all " in run("embed", corpus.root / "speaker0/a/1.wav", "--model", model, "--speech", "all").stdout


def test_documents_name_the_speech_that_was_scored(run, model, corpus, trials, tmp_path):
    for flags, found in (((), ("all", None)), (("--speech", "auto"), ("auto", VERSION))):
        evaluated = run("eval", model, *trials, *flags, "--json").json
        rotated = run(
            *("rotate", model, "--speech", corpus.root, "-o", tmp_path / f"{len(flags)}.pt", "--method", "svd"),
            *(("--speech-detector", "auto") if flags else ()),
            "--json",
        ).json
        calibrated = run("calibrate", model, *trials, "--far", 0.5, *flags, "--force", "--json").json
        for document in (evaluated, rotated, calibrated):
            assert (document["speech"], document["speech_detector"]) == found


@pytest.mark.parametrize(("flags", "found"), [((), None), (("--speech-detector", "auto"), ("auto", VERSION))])
def test_rotated_checkpoint_names_the_speech_that_it_was_fitted_to(run, model, corpus, tmp_path, flags, found):
    out = tmp_path / "rotated.pt"
    assert run("rotate", model, "--speech", corpus.root, "-o", out, "--method", "svd", *flags).exit_code == 0
    entry = read_checkpoint(out)["rotation"]
    assert (entry["speech"], entry["speech_detector"]) == found if found else "speech" not in entry
    embedded = run("embed", corpus.root / "speaker0/a/1.wav", "--model", out)
    assert embedded.exit_code == 0


def test_models_scored_on_different_speech_are_warned_of(run, model, trials, tmp_path):
    for mode in ("all", "auto"):
        run("eval", model, *trials, "--speech", mode, "--scores", tmp_path / f"{mode}.npz")
    outcome = run("compare", tmp_path / "all.npz", tmp_path / "auto.npz", "--json")
    assert outcome.exit_code == 0
    assert "files whole up to 60 s" in outcome.stderr
    assert f"the speech that {VERSION} finds" in outcome.stderr
    assert (outcome.json["speech"], outcome.json["channel"]) == (None, "mix")
    assert {each["speech_detector"] for each in outcome.json["scored_as"].values()} == {None, VERSION}


@pytest.mark.parametrize(("fitted", "scored"), [("all", "auto"), ("auto", "all")])
def test_calibration_of_other_speech_is_refused_or_left_out(run, model, trials, fitted, scored):
    assert run("calibrate", model, *trials, "--far", 0.5, "--speech", fitted).exit_code == 0
    path = model.with_name("best.calibration.json")
    fits = run("eval", model, *trials, "--speech", fitted, "--json")
    assert fits.json["calibration"]["speech"] == fitted
    beside = run("eval", model, *trials, "--speech", scored, "--json")
    assert (beside.exit_code, beside.json["calibration"]) == (0, None)
    assert "was fitted on other audio" in beside.stderr
    named = run("eval", model, *trials, "--speech", scored, "--calibration", path)
    assert named.exit_code == 1
    assert "was fitted on other audio" in named.stderr


def test_cohort_of_other_speech_is_refused(run, model, trials, corpus, tmp_path):
    norm = "--score-norm", "s", "--cohort", tmp_path / "cohort.npz"
    run("embed", corpus.root, "--model", model, "-o", tmp_path / "cohort.npz")
    assert run("eval", model, *trials, *norm, "--speech", "auto").exit_code == 0
    refused = run("eval", model, *trials, *norm)
    assert refused.exit_code == 3
    assert "holds embeddings of the speech that" in refused.stderr
    assert "Embed the cohort with --speech all" in refused.stderr
    run("embed", corpus.root, "--model", model, "-o", tmp_path / "cohort.npz", "--speech", "all", "--force")
    assert run("eval", model, *trials, *norm).exit_code == 0
    with np.load(tmp_path / "cohort.npz") as arrays:
        older = {name: arrays[name] for name in ("ids", "seconds", "embeddings", "fingerprint")}
    np.savez(tmp_path / "cohort.npz", **older)
    assert run("eval", model, *trials, *norm).exit_code == 0


@pytest.mark.parametrize(
    "command",
    [
        ("embed", "a.wav", "--model", "absent.pt", "--speech", "silero"),
        ("verify", "a.wav", "b.wav", "--model", "absent.pt", "--speech", "silero"),
        ("eval", "absent.pt", "--speech", "silero"),
        ("compare", "absent.pt", "other.pt", "--speech", "silero"),
        ("calibrate", "absent.pt", "--trials", "trials.txt", "--speech", "silero"),
        ("rotate", "absent.pt", "--speech", "corpus", "-o", "x.pt", "--speech-detector", "silero"),
    ],
    ids=lambda command: command[0],
)
def test_missing_detector_exits_4_before_a_model_is_loaded(run, monkeypatch, command):
    def missing():
        raise MissingDependencyError("Silero VAD needs silero-vad", fix="Type: pip install 'mrlspk[silero]'")

    monkeypatch.setattr("mrlspk.data.speech.build.load_silero", missing)
    outcome = run(*command)
    assert (outcome.exit_code, outcome.stdout) == (4, "")
    assert "pip install 'mrlspk[silero]'" in outcome.stderr

"""The contract's table of bad input, row by row, through the commands: code, message, and nothing half-written."""

import pickle
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
import yaml

from factories import TINY_RUN
from mrlspk.data.audio import save_m4a


@dataclass(frozen=True)
class Place:
    """Where a bad input is made: a folder with a good model, a good corpus and a good trial list."""

    folder: Path
    model: Path
    corpus: Path
    trials: Path

    def voice(self, name: str, samples: int = 8000) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, 0.1 * np.random.default_rng(1).normal(size=samples), 16000)
        return path

    def text(self, name: str, content: str) -> Path:
        path = self.folder / name
        path.write_text(content)
        return path

    def embed(self, *inputs: object) -> tuple[object, ...]:
        return ("embed", *inputs, "--model", self.model, "-o", self.folder / "out.npz")

    def eval(self, *, trials: Path | None = None, audio_root: Path | None = None) -> tuple[object, ...]:
        return ("eval", self.model, "--trials", trials or self.trials, "--audio-root", audio_root or self.corpus)


@pytest.fixture
def place(tmp_path, tiny_corpus, write_model, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return Place(tmp_path, write_model(tmp_path / "model.pt"), tiny_corpus.root, tiny_corpus.trials)


def contents(folder):
    """Return every file below a folder, with what is in it, and every folder but the cache."""
    paths = (path for path in folder.rglob("*") if not path.is_relative_to(folder / "cache"))
    return {path: path.read_bytes() if path.is_file() else None for path in paths}


# Each of these makes one bad input and returns the command that meets it.


def embed_empty_folder(place):
    (place.folder / "hollow").mkdir()
    return place.embed("hollow")


def check_empty_folder(place):
    (place.folder / "hollow").mkdir()
    return ("data", "check", "hollow", "--json")


def train_on_an_empty_folder(place):
    (place.folder / "hollow").mkdir()
    return ("train", "--set", "data.train_dataset=hollow")


def embed_truncated_m4a(place):
    save_m4a(place.folder / "cut.m4a", torch.from_numpy(np.random.default_rng(0).normal(size=48000) * 0.1).float())
    content = (place.folder / "cut.m4a").read_bytes()
    (place.folder / "cut.m4a").write_bytes(content[: len(content) // 2])
    return place.embed("cut.m4a")


def embed_text_named_wav(place):
    place.text("text.wav", "this is not audio")
    return place.embed("text.wav")


def check_text_named_wav(place):
    place.text("corpus/speaker0/a/text.wav", "this is not audio")
    return ("data", "check", place.corpus, "--json")


def eval_bad_line(place):
    first, *rest = place.trials.read_text().splitlines(keepends=True)
    return place.eval(trials=place.text("bad.txt", f"{first}yes a c\n{''.join(rest)}"))


def check_bad_line(place):
    return ("data", "check", place.corpus, "--trials", place.text("bad.txt", "1 only-one\n"), "--json")


def eval_missing_audio(place):
    (place.corpus / "speaker2/b/1.wav").unlink()
    return place.eval()


def check_missing_audio(place):
    (place.corpus / "speaker2/b/1.wav").unlink()
    return ("data", "check", place.corpus, "--trials", place.trials, "--json")


def embed_200_samples(place):
    return place.embed(place.voice("short.wav", samples=200).name)


def check_200_samples(place):
    place.voice("corpus/speaker0/a/short.wav", samples=200)
    return ("data", "check", place.corpus, "--json")


def audio_root_without_trials(place):
    return ("eval", place.model, "--audio-root", place.corpus)


def misspelt_key_in_a_file(place):
    return ("train", "--config", place.text("run.yaml", "training:\n  btch_size: 3\n"))


class Payload:
    """Makes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (exec, (f"import pathlib; pathlib.Path({str(self.path)!r}).touch()",))


def embed_with_a_pickle(place):
    place.model.write_bytes(pickle.dumps(Payload(place.folder / "ran")))
    return place.embed(place.voice("a.wav"))


def embed_with_text_as_model(place):
    place.model.write_text("no model")
    return place.embed(place.voice("a.wav"))


def embed_with_other_weights(place):
    torch.save({"weights": torch.zeros(2)}, place.model)
    return place.embed(place.voice("a.wav"))


def change_weights(place, change):
    checkpoint = torch.load(place.model, weights_only=True)
    change(checkpoint["model"])
    torch.save(checkpoint, place.model)


def embed_with_a_missing_entry(place):
    change_weights(place, lambda weights: weights.pop("head.linear.weight"))
    return place.embed(place.voice("a.wav"))


def eval_with_an_entry_of_another_shape(place):
    change_weights(place, lambda weights: weights.update({"head.linear.weight": torch.zeros(3, 3)}))
    return place.eval()


# What is done, exit code, and words of the message: its place first, then what else it must say.
ROWS = [
    ("empty folder", embed_empty_folder, 3, ("hollow", "no audio", "Give a folder with")),
    ("empty folder", check_empty_folder, 3, ("hollow", "speaker/session/file", "Name the folder whose")),
    ("empty folder", train_on_an_empty_folder, 3, ("hollow", "speaker/session/file", "Name the folder whose")),
    ("missing folder", lambda place: place.embed("gone"), 3, ("gone", "no such file or folder", "Check the path")),
    ("missing folder", lambda _: ("data", "check", "gone", "--json"), 3, ("gone", "Check the path")),
    (
        "missing folder",
        lambda _: ("train", "--set", "data.train_dataset=gone"),
        3,
        ("data.train_dataset: gone", "Check the path"),
    ),
    ("missing folder", lambda place: place.eval(audio_root=Path("gone")), 3, ("gone: no such folder", "Check")),
    ("truncated m4a", embed_truncated_m4a, 3, ("cut.m4a", "cut short", "Copy or download the file again")),
    ("text named .wav", embed_text_named_wav, 3, ("text.wav", "cannot be decoded as .wav audio", "Copy or download")),
    ("text named .wav", check_text_named_wav, 3, ("speaker0/a/text.wav", "cannot be decoded as .wav audio")),
    ("bad line", eval_bad_line, 3, ("bad.txt:2", "expected '<0|1> <enroll> <test>', got 'yes a c'", "Write 1 for")),
    ("bad line", check_bad_line, 3, ("bad.txt:1", "got '1 only-one'")),
    ("missing audio", eval_missing_audio, 3, ("speaker2/b/1.wav", "with --audio-root")),
    ("missing audio", check_missing_audio, 3, ("speaker2/b/1.wav", "no such file")),
    ("200 samples", embed_200_samples, 3, ("short.wav", "200 samples", "give a longer recording")),
    ("200 samples", check_200_samples, 3, ("speaker0/a/short.wav", "256 samples", "got 12.5 ms")),
    ("no such width", lambda p: (*p.embed(p.voice("a.wav")), "--dim", 16), 2, ("16", "4, 8")),
    ("no such width", lambda p: (*p.embed(p.voice("a.wav")), "--dim", 6), 2, ("6", "--allow-untrained-dim")),
    ("no such width", lambda p: (*p.eval(), "--dims", "4,16"), 2, ("16", "4, 8")),
    ("flags exclude", lambda _: ("train", "--resume", "run", "--init-from", "x.pt"), 2, ("--resume", "give one")),
    ("flags exclude", audio_root_without_trials, 2, ("--audio-root", "Give --trials too")),
    ("flags exclude", lambda p: (*p.eval(), *["--audio-root", p.corpus] * 2), 2, ("--audio-root", "Give one")),
    ("flags exclude", lambda p: ("compare", p.model, p.model), 2, ("model.pt", "Name different checkpoints")),
    ("misspelt key", lambda _: ("train", "--set", "traning.batch_size=3"), 1, ("traning (--set)", "training?")),
    ("misspelt key", misspelt_key_in_a_file, 1, ("btch_size", "run.yaml", "did you mean training.batch_size?")),
    ("no checkpoint", embed_with_a_pickle, 1, ("model.pt", "plain pickles are never opened", "Give a checkpoint")),
    ("no checkpoint", embed_with_text_as_model, 1, ("model.pt", "is not a checkpoint", "Give a checkpoint")),
    ("no checkpoint", embed_with_other_weights, 1, ("model.pt", "expected model_config and state_dict", "Give a ")),
    ("state dict that does not fit", embed_with_a_missing_entry, 1, ("model.pt", "head.linear.weight")),
    ("state dict that does not fit", eval_with_an_entry_of_another_shape, 1, ("model.pt", "head.linear.weight")),
]


@pytest.mark.parametrize(
    ("make", "exit_code", "words"), [row[1:] for row in ROWS], ids=[f"{row[0]}-{i}" for i, row in enumerate(ROWS)]
)
def test_bad_input_is_reported_with_its_place_and_leaves_nothing(run, place, make, exit_code, words):
    command = make(place)
    before = contents(place.folder)
    outcome = run(*command)
    shown = " ".join((outcome.stderr + outcome.stdout).split())
    assert outcome.exit_code == exit_code, shown
    assert [word for word in words if word not in shown] == [], shown
    assert contents(place.folder) == before


def test_speaker_with_one_file_is_a_warning_and_can_be_trained_on(run, place, tmp_path):
    for name in ("a/2.wav", "b/1.wav", "b/2.wav"):
        (place.corpus / "speaker1" / name).unlink()
    checked = run("data", "check", place.corpus, "--json")
    assert (checked.exit_code, checked.json["ok"]) == (0, True)
    assert [(p["kind"], p["severity"], p["where"]) for p in checked.json["problems"]] == [
        ("one_file_speaker", "warning", "speaker1")
    ]
    config = TINY_RUN | {"data": TINY_RUN["data"] | {"train_dataset": str(place.corpus)}}
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(config))
    trained = run("train", "--config", "tiny.yaml", "--set", "training.num_epochs=1", "--quiet")
    assert trained.exit_code == 0, trained.stderr


def test_silence_is_embedded_with_a_warning_and_a_unit_length(run, place):
    soundfile.write(place.folder / "quiet.wav", np.zeros(8000), 16000)
    outcome = run(*place.embed("quiet.wav"), "--json")
    assert outcome.exit_code == 0, outcome.stderr
    (entry,) = outcome.json["embeddings"]
    assert entry["warnings"] == ["silent"]
    assert np.linalg.norm(entry["embedding"]) == pytest.approx(1, abs=1e-5)
    assert np.load(place.folder / "out.npz")["ids"].tolist() == ["quiet.wav"]

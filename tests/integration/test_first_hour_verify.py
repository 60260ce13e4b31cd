"""Situations of the first hour: two files to compare, a model to rotate, a calibration to fit."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from factories import model_card, write_tiny_model, write_voices
from first_hour import Situation

SAME = {"n": 30, "p05": -2, "p50": 0.7, "p95": 0.9}
DIFFERENT = {"n": 70, "p05": -3, "p50": -2, "p95": -2}


def two_files():
    root = write_voices(Path("voices"), 2, sessions=("a",), files=("1",), seconds=1.5, syllables=True)
    return {"a": root / "speaker0/a/1.wav", "b": root / "speaker1/a/1.wav"}


def two_files_and_a_run():
    card = model_card(score_ranges=[{"dim": 8, "same": SAME, "different": DIFFERENT}])
    return two_files() | {"best": write_tiny_model(Path("run/best.pt"), card=card.entry())}


def voices_to_rotate_on():
    write_voices(Path("speech"), seconds=0.4)


def vectors_and_a_graph():
    np.savez("vectors.npz", embeddings=np.eye(3, dtype=np.float32), ids=np.array(["a", "b", "c"]))
    Path("model.onnx").write_bytes(b"graph")


def few_trials():
    files = two_files()
    Path("trials.txt").write_text("1 speaker0/a/1.wav speaker0/a/2.wav\n0 speaker0/a/1.wav speaker1/a/1.wav\n")
    soundfile.write("voices/speaker0/a/2.wav", *soundfile.read(files["a"]))


SITUATIONS = [
    Situation(
        "verify without a calibration names the command",
        ("verify", "{a}", "{b}", "--model", "{model}"),
        0,
        (
            "no decision: this model has no calibration",
            "To calibrate: mrlspk calibrate {model} --trials FILE",
            "data trials DIR -o FILE",
        ),
        prepare=two_files,
    ),
    Situation(
        "verify without a calibration shows the ranges of the card",
        ("verify", "{a}", "{b}", "--model", "{best}"),
        0,
        ("-2.00 to 0.90", "a usual cosine of the same speaker, and a rare one of different speakers"),
        prepare=two_files_and_a_run,
    ),
    Situation(
        "decision is asked of a model without a calibration",
        ("verify", "{a}", "{b}", "--model", "{model}", "--p-target", "0.5"),
        1,
        ("this model has no calibration, so no threshold", "To calibrate: mrlspk calibrate {model}"),
        prepare=two_files,
    ),
    Situation(
        "calibrate without trials on a model that has none",
        ("calibrate", "{model}"),
        3,
        ("found no trials", "--trials FILE"),
    ),
    Situation(
        "few trials limit the likelihood ratio",
        ("calibrate", "{model}", "--trials", "trials.txt", "--audio-root", "voices", "-o", "c.json"),
        0,
        ("likelihood ratios are limited to 1/2 and 2", "few for a calibration of other speakers"),
        prepare=few_trials,
    ),
    Situation(
        "rotate says how to evaluate its result",
        ("rotate", "{model}", "--speech", "speech", "-o", "my model.pt", "--crop-seconds", "0.3"),
        0,
        ("width energy % EER %", "To evaluate: mrlspk eval 'my model.pt'"),
        prepare=voices_to_rotate_on,
    ),
    Situation(
        "rotate without speech",
        ("rotate", "small.pt", "-o", "r.pt"),
        2,
        ("expected a model and --speech, or --vectors Example: mrlspk rotate small.pt --speech DIR -o r.pt",),
    ),
    Situation("verify of one recording", ("verify", "a.wav"), 2, ("expected a second recording (B)",)),
    Situation(
        "transform is to be written away from its checkpoint",
        ("rotate", "{model}", "--speech", "speech", "-o", "elsewhere.npz"),
        2,
        ("a file that ends in .pt, which holds the whole model: --output elsewhere.pt",),
        prepare=voices_to_rotate_on,
    ),
    Situation(
        "model of recordings is applied to vectors",
        ("vectors", "apply", "vectors.npz", "--transform", "model.onnx", "-o", "out.npz"),
        1,
        ("is a model of recordings", "mrlspk embed DIR --model model.onnx -o FILE.npz"),
        prepare=vectors_and_a_graph,
    ),
]


@pytest.mark.parametrize("situation", SITUATIONS, ids=lambda each: each.name)
def test_first_hour(situation, meet):
    meet(situation)

"""Usage errors in our own words: one line on what is wrong, one on how to go on."""

import pytest
from typer.testing import CliRunner

from mrlspk.cli.app import app
from mrlspk.cli.usage_errors import nearest

ALL_OF_TRAIN = "All options: mrlspk train --help"
SINGLE = "Example: mrlspk embed call.m4a"
AT_64 = "Example: mrlspk embed recordings/ --dim 64 -o voices.npz"
SCORED = "Example: mrlspk eval best.pt --trials trials.txt --audio-root speech"

CASES = {
    "trian": ("no command mrlspk trian; did you mean mrlspk train?", "All commands: mrlspk --help"),
    "list": (
        "no command mrlspk list; did you mean mrlspk pretrained list or mrlspk index list?",
        "All commands: mrlspk --help",
    ),
    "data chekc x": (
        "no command mrlspk data chekc; did you mean mrlspk data check?",
        "All commands: mrlspk data --help",
    ),
    "zzz": ("no command mrlspk zzz", "All commands: mrlspk --help"),
    "embed": ("expected INPUT", SINGLE),
    "export a.pt": ("expected --output <file>", "Example: mrlspk export best.pt -o speaker.onnx"),
    "embed a.wav --dims 64": ("--dims: mrlspk embed takes one width: --dim <dim>", AT_64),
    "eval --dim 64": (
        "--dim: mrlspk eval takes several widths: --dims <dims>",
        "Example: mrlspk eval best.pt --dims 64,128 --report page",
    ),
    "embed a.wav --dim many": ("--dim: expected a whole number from 1 to 65,536, got many", AT_64),
    "embed a.wav --dim": ("--dim: expected a value", AT_64),
    "embed a.wav --json=1": ("--json: takes no value", SINGLE),
    "embed a.wav --backend onnx": (
        "--backend: expected auto, torch, onnxruntime or openvino, got onnx; did you mean onnxruntime?",
        SINGLE,
    ),
    "embed a.wav --batch-size 0": ("--batch-size: expected a whole number of at least 1, got 0", SINGLE),
    "eval --target-eer low": ("--target-eer: expected a number from 0 to 1, got low", SCORED),
    "eval --p-target 0.1 --p-target 2": ("--p-target: expected a share between 0 and 1, got 2.0", SCORED),
    "eval a.pt b.txt": ("mrlspk eval takes no further argument, got b.txt", SCORED),
    "embed a.wav --bakend x": (
        "mrlspk embed: no option --bakend; did you mean --backend?",
        "All options: mrlspk embed --help",
    ),
    "train --epochs 5": (
        "mrlspk train: no option --epochs; did you mean --set training.num_epochs=VALUE?",
        ALL_OF_TRAIN,
    ),
    "train --batch-size 4": (
        "mrlspk train: no option --batch-size; did you mean --set training.batch_size=VALUE?",
        ALL_OF_TRAIN,
    ),
    "eval --batch-size 4": (
        "mrlspk eval: no option --batch-size; did you mean --set evaluation.batch_size=VALUE?",
        "All options: mrlspk eval --help",
    ),
    "eval --trails t.txt": (
        "mrlspk eval: no option --trails; did you mean --trials?",
        "All options: mrlspk eval --help",
    ),
    "train --batchsize 4": (
        "mrlspk train: no option --batchsize; did you mean --set training.batch_size=VALUE?",
        ALL_OF_TRAIN,
    ),
    "train --model small.pt": (
        "mrlspk train: no option --model; did you mean --init-from <model>?",
        ALL_OF_TRAIN,
    ),
    "train --zzz": ("mrlspk train: no option --zzz", ALL_OF_TRAIN),
    "--json train": (
        "mrlspk: no option --json; give it after the name of the command",
        "All options: mrlspk --help",
    ),
}


@pytest.mark.parametrize("typed", CASES)
def test_usage_error_says_what_is_wrong_and_how_to_go_on(typed):
    result = CliRunner().invoke(app, typed.split(), prog_name="mrlspk")
    what, go_on = CASES[typed]
    assert (result.exit_code, result.stdout, result.stderr) == (2, "", f"error: {what}\n{go_on}\n")


@pytest.mark.parametrize(
    ("word", "option"),
    [("own", "--set data.train_dataset=own"), ("run.yaml", "--config run.yaml"), ("small.pt", "--init-from small.pt")],
)
def test_file_or_folder_after_train_names_its_option(word, option, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / word).touch() if "." in word else (tmp_path / word).mkdir()
    result = CliRunner().invoke(app, ["train", word], prog_name="mrlspk")
    assert f"got {word}; did you mean {option}?\n" in result.stderr


@pytest.mark.parametrize(
    ("word", "meant"),
    [("--trails", "--trials"), ("--out", "--output"), ("--OUTPUT", "--output"), ("--to", None), ("--x", None)],
)
def test_nearest_is_a_misspelt_or_shortened_word(word, meant):
    assert nearest(word, ["--trials", "--output", "--quiet"]) == meant

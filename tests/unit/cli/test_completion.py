"""Completion of commands, options, names of models and keys of the configuration, as shells ask for it."""

from datetime import UTC, datetime

import pytest
import shellingham
from typer.testing import CliRunner

from mrlspk.cli.app import app
from mrlspk.cli.completion import complete_key, complete_model
from mrlspk.pretrained import list_models
from mrlspk.pretrained.own_models import ModelFacts, add_own_model

SHELLS = {
    "bash": lambda words: {"COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))},
    "zsh": lambda words: {"_TYPER_COMPLETE_ARGS": words},
    "fish": lambda words: {"_TYPER_COMPLETE_ARGS": words, "_TYPER_COMPLETE_FISH_ACTION": "get-args"},
}


@pytest.fixture
def complete(monkeypatch, tmp_path):
    """Return what a shell shows after some words."""
    monkeypatch.chdir(tmp_path)

    def after(shell, words):
        variables = SHELLS[shell](words) | {"_MRLSPK_COMPLETE": f"complete_{shell}"}
        result = CliRunner().invoke(app, [], env=variables, prog_name="mrlspk")
        assert result.exit_code == 0
        return result.stdout

    return after


@pytest.mark.parametrize("shell", SHELLS)
def test_shells_complete_commands_options_models_and_keys(complete, shell):
    assert "gpu-profile" in complete(shell, "mrlspk gpu")
    assert "--audio-root" in complete(shell, "mrlspk eval --au")
    assert "redimnet-b2-vox2-ft_lm" in complete(shell, "mrlspk embed a.wav --model redimnet-b2-vox2-f")
    assert "training.batch_size=" in complete(shell, "mrlspk train --set training.bat")
    assert "pretrained" not in complete(shell, "mrlspk gpu")


def test_keys_of_sections_are_left_out():
    assert complete_key("data.volume") == ["data.volume_probability=", "data.volume_range="]
    assert {"head=", "head.start="} & set(complete_key("head")) == {"head.start="}


def test_models_are_published_own_and_of_runs_in_this_folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MRLSPK_CACHE_DIR", str(tmp_path / "cache"))
    best = tmp_path / "checkpoints" / "one" / "best.pt"
    best.parent.mkdir(parents=True)
    best.touch()
    facts = ModelFacts(family="redimnet", dims=(8,))
    add_own_model(
        "mine",
        facts,
        lambda path: path.write_bytes(b"x"),
        cache_dir=tmp_path / "cache",
        added=datetime.now(UTC),
        force=False,
    )
    assert complete_model("") == ["checkpoints/one/best.pt", *(model.name for model in list_models()), "mine"]


def test_damaged_cache_does_not_stop_completion(monkeypatch, tmp_path):
    monkeypatch.setenv("MRLSPK_CACHE_DIR", str(tmp_path / "file"))
    (tmp_path / "file").touch()
    assert complete_model("redimnet-b2-vox2-f") == ["redimnet-b2-vox2-ft_lm"]


@pytest.mark.parametrize("flag", ["--install-completion", "--show-completion"])
def test_completion_for_an_unknown_shell_is_a_usage_error(monkeypatch, flag):
    def fail():
        raise shellingham.ShellDetectionFailure

    monkeypatch.setattr(shellingham, "detect_shell", fail)
    result = CliRunner().invoke(app, [flag])
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == (
        "error: completion: the shell that started it is not known\nType it in bash, zsh or fish.\n"
    )

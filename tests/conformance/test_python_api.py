"""Run every block of docs/python-api.md on real speech, and compare with the command line."""

import inspect
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

import mrlspk
from conformance.python_page import BLOCKS, PAGE
from mrlspk import errors
from mrlspk.cli.app import app

SPEAKERS = "ls01688", "ls01998", "ls02033", "ls02414"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def recordings(shared):
    return {name: sorted((shared / "speech" / "test-short" / name).rglob("*.wav"))[:2] for name in SPEAKERS}


@pytest.fixture(scope="module")
def rotated(shared, recordings, tmp_path_factory):
    """A Matryoshka model of the small backbone."""
    folder = tmp_path_factory.mktemp("rotated")
    for name, paths in recordings.items():
        (folder / "speech" / name / "a").mkdir(parents=True)
        for path in paths:
            shutil.copy(path, folder / "speech" / name / "a")
    model = shared / "pretrained" / "redimnet-small-speech.pt"
    arguments = ["--speech", folder / "speech", "--method", "svd", "-o", folder / "rotated.pt", "--no-cache", "--quiet"]
    result = CliRunner().invoke(app, list(map(str, ["rotate", model, *arguments])))
    assert result.exit_code == 0, result.stderr
    return folder / "rotated.pt"


@pytest.fixture
def workspace(rotated, shared, recordings, tmp_path, monkeypatch):
    """A folder with all that the page names."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(rotated, "rotated.pt")
    for name, path in zip("ab", sorted((shared / "speech" / "test" / SPEAKERS[0]).rglob("*.wav")), strict=False):
        soundfile.write(f"{name}.wav", soundfile.read(path, frames=5 * 16_000)[0], 16_000)
    left, right = (soundfile.read(recordings[name][0])[0] for name in SPEAKERS[:2])
    soundfile.write("call.wav", np.stack([left, right], axis=1), 16_000)
    Path("speech").mkdir()
    shutil.copy(recordings[SPEAKERS[2]][0], "speech")
    Path("speech/notes.wav").write_text("no audio")
    for name in SPEAKERS[2:]:
        Path("speakers", name).mkdir(parents=True)
        shutil.copy(recordings[name][0], Path("speakers", name))
    return tmp_path


@pytest.mark.usefixtures("workspace")
def test_blocks_of_the_page_run_in_order(capsys):
    assert len(BLOCKS) > 10
    names: dict[str, object] = {}
    for block in BLOCKS:
        exec(compile(block, "docs/python-api.md", "exec"), names)
    printed = capsys.readouterr().out
    assert printed.startswith("(64, 128, 192)\n192\n")
    assert "speech/notes.wav" in printed
    assert np.shape(names["voices"]) == np.shape(names["every"].T @ names["every"])[:1] + (192,)
    assert names["same"] == pytest.approx(names["again"], abs=1e-6)
    assert names["found"].index > 0


@pytest.mark.parametrize(
    ("flags", "options"),
    [
        (["--dim", "64"], {"dim": 64}),
        (["--speech", "all"], {"speech": "all"}),
        (["--speech", "silero"], {"speech": "silero"}),
        (["--channel", "right"], {"channel": "right"}),
    ],
    ids=["dim", "all", "silero", "channel"],
)
@pytest.mark.usefixtures("workspace")
def test_numbers_are_those_of_the_command_line(flags, options):
    paths = ["a.wav", "call.wav"]
    result = CliRunner().invoke(app, ["embed", *paths, "--model", "rotated.pt", "--backend", "torch", "--json", *flags])
    if "--channel" in flags:
        assert result.exit_code == 3  # a.wav has one channel
    encoder = mrlspk.load("rotated.pt", device="cpu")
    rows = {row["id"].partition("#")[0]: row for row in json.loads(result.stdout)["embeddings"]}
    found = {each.path: each for each in encoder.embed_many(paths, **options) if not each.error}
    assert rows.keys() == found.keys()
    for path, row in rows.items():
        assert found[path].unwrap() == pytest.approx(np.array(row["embedding"]), abs=1e-6)
        assert encoder.embed(path, **options) == pytest.approx(np.array(row["embedding"]), abs=1e-6)
        assert (found[path].seconds, found[path].speech_seconds) == (row["seconds"], row["speech_seconds"])
        assert list(found[path].warnings) == row["warnings"]


def test_page_names_every_field_parameter_and_error():
    fields = set(mrlspk.EmbeddedAudio.__dataclass_fields__)
    parameters = set(inspect.signature(mrlspk.SpeakerEncoder.embed).parameters) - {"self"}
    assert {name for name in fields | parameters if f"| `{name}` |" not in PAGE} == set()
    raised = {each.__name__ for each in errors.MrlspkError.__subclasses__() if each.__module__ == errors.__name__}
    assert {name for name in raised - {"StoppedError"} if f"| `{name}` |" not in PAGE} == set()


@pytest.mark.process
def test_import_loads_neither_torch_nor_numpy():
    code = "import sys, mrlspk; dir(mrlspk); print(sorted({'torch', 'numpy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_public_names_are_those_of_the_package():
    assert dir(mrlspk) == sorted(mrlspk.__all__)
    assert [name for name in mrlspk.__all__ if not inspect.getdoc(getattr(mrlspk, name))] == []
    with pytest.raises(AttributeError, match="no attribute 'encode'$"):
        _ = mrlspk.encode


def test_method_in_place_of_a_function_names_the_encoder():
    with pytest.raises(AttributeError, match=r"a method of the encoder, mrlspk.load\(MODEL\).embed\("):
        _ = mrlspk.embed


def test_help_of_load_shows_what_an_encoder_does():
    methods = {name for name, _ in inspect.getmembers(mrlspk.SpeakerEncoder, inspect.isfunction) if name[0] != "_"}
    text = inspect.getdoc(mrlspk.load)
    assert {name for name in methods if f"encoder.{name}(" not in text} == {"speech_seconds"}
    assert [name for name in methods if "Args:" not in inspect.getdoc(getattr(mrlspk.SpeakerEncoder, name))] == []

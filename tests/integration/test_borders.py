"""Every reader of the program meets every border value: the contract's exit code, a place, no traceback, no file."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
import yaml
from typer.testing import CliRunner

from border_readers import CONTENTS, EVAL, PATHS, READERS, VALUES
from factories import tiny_run, write_tiny_model, write_voices
from mrlspk.cli.app import app
from mrlspk.data.audio import save_m4a

LONGEST_MESSAGE = 2500  # characters; a path of 300 bytes and a remedy fit
NOISE = 0.1 * np.random.default_rng(1).normal(size=16000)
CASES = [(name, fault) for name, reader in READERS.items() for fault in reader.faults]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A folder with a good file for every reader; no test changes it."""
    folder, before = tmp_path_factory.mktemp("world"), Path.cwd()
    os.chdir(folder)
    try:
        write_inputs(folder)
        write_outputs(folder)
        yield folder
    finally:
        os.chdir(before)


def write_inputs(world):
    """Write what users bring."""
    write_voices(world / "corpus")
    ids = sorted(path.relative_to(world / "corpus").as_posix() for path in (world / "corpus").rglob("*.wav"))
    pairs = [(a, b) for a in ids[:8] for b in ids if a < b]
    head = {"backbone": None, "pretrained": {"use_pretrained": True, "pretrained_checkpoint": "model.pt"}}
    frozen = {"num_epochs": 1, "freeze_backbone_epochs": None}
    texts = {
        "trials.txt": "".join(f"{int(a[:8] == b[:8])} {a} {b}\n" for a, b in pairs),
        "trials.jsonl": '{"enroll": "speaker0/a/1.wav", "test": "speaker1/a/1.wav", "target": false}\n',
        "trials.csv": "enroll,test,target\nspeaker0/a/1.wav,speaker1/a/1.wav,0\n",
        "enrolments.txt": "speaker0/a/1.wav speaker0/a/2.wav\n",
        "enrolments.jsonl": '{"model": "speaker0/a/1.wav", "utts": ["speaker0/a/2.wav"]}\n',
        "wav.scp": "".join(f"{each} {world}/corpus/{each}\n" for each in ids),
        "speakers.csv": "speaker,gender\nspeaker0,m\nspeaker1,f\nspeaker2,m\nspeaker3,f\n",
        "speakers.jsonl": '{"speaker": "speaker0", "gender": "m"}\n{"speaker": "speaker1", "gender": "f"}\n',
        "audio.txt": f"{world}/a.wav\n{world}/b.wav\n{world}/corpus/{ids[0]}\n",
        "old.yaml": "training: {num_epochs: 3}\nadvanced: {model_name: b2}\nseed: 7\n",
        "tiny.yaml": yaml.safe_dump(tiny_run(world / "corpus", training={"num_epochs": 1})),
        "flow.yaml": yaml.safe_dump(tiny_run(world / "corpus"), default_flow_style=True),  # no part of it is YAML
        "head.yaml": yaml.safe_dump(tiny_run(world / "corpus", training=frozen, model=head)),
        "lora.yaml": yaml.safe_dump(
            tiny_run(world / "corpus", training=frozen | {"lora": {"rank": 2, "alpha": 4}}, model=head)
        ),
    }
    for name, text in texts.items():
        (world / name).write_text(text)
    for name in ("a.wav", "b.wav"):
        soundfile.write(world / name, NOISE, 16000)
    save_m4a(world / "a.m4a", torch.from_numpy(NOISE).float())


def write_outputs(world):
    """Write what the program itself makes and reads again."""
    write_tiny_model(world / "model.pt", (4, 8))
    trials = "--trials trials.txt --audio-root corpus --no-cache"
    for command in (
        "train --config tiny.yaml --set logging.run_name=run",
        "train --config lora.yaml --set logging.run_name=lora",
        "train --config head.yaml --set logging.run_name=head",
        "embed corpus --model model.pt --speech all -o cohort.npz",
        f"eval model.pt {trials} --scores scores.npz",
        f"calibrate model.pt {trials}",
        f"calibrate model.pt {trials} --score-norm s --cohort cohort.npz -o normalised.json",
        "pretrained convert model.pt -o model.safetensors",
        "pretrained add model.pt --name mine",
    ):
        result = invoke(command, world=world)
        assert result.exit_code == 0, result.output


def invoke(command, *, world, path="", further=(), cache=None, **options):
    """Run a command with its placeholders filled in; its cache is in the world, unless another one is given."""
    places = {"world": world, "path": path, "quoted": '"' + str(path).replace("\0", "\\0") + '"'}
    arguments = [word.format(**places) for word in command.split()]
    runner = CliRunner(env={"MRLSPK_CACHE_DIR": str(cache or world / "cache")})
    return runner.invoke(app, [*arguments, *further], **options)


def make_file(fault, path, good):
    """Make a faulty file; return its path, which is ``path`` unless the name is at fault."""
    half = len(good) // 2
    contents = {"empty": b"", "truncated": good[:half], "enormous": good}
    contents |= {"NUL": good[:half] + b"\0" + good[half:], "not UTF-8": good[:half] + b"\xe9" + good[half:]}
    if fault in contents:
        path.write_bytes(contents[fault])
    if fault == "enormous":
        os.truncate(path, 2**40)
    elif fault == "folder":
        path.mkdir()
    elif fault == "unreadable":
        path.symlink_to("/proc/self/mem")  # opens, and fails at the first byte, for root too
    elif fault == "loop":
        path.symlink_to(path.name)
    return path.with_name("x" * 300 + path.suffix) if fault == "300 bytes in its name" else path


def make_input(world, folder, reader, fault):
    """Make the faulty file of a reader in ``folder``; return the path that its command reads, and the file's."""
    path = folder / f"bad{reader.suffix}"
    good = world / (reader.folder or "") / (reader.good or "")
    if reader.folder:
        shutil.copytree(world / reader.folder, folder / "copy")
        path = folder / "copy" / reader.good
        path.unlink()
    if fault in VALUES:
        places = {"value": reader.value(fault), "world": world, "tiny": (world / "tiny.yaml").read_text()}
        path.write_text(reader.valued.format(**places))
    else:
        path = make_file(fault, path, good.read_bytes() if reader.good else b"")
    return (folder / "copy" if reader.folder else path), path


def listing(*folders):
    """Return every file and folder below ``folders`` with its size and time of change."""
    found = {}
    for folder in folders:
        for above, names, files in os.walk(folder):
            for path in (f"{above}/{name}" for name in (*names, *files)):
                status = os.lstat(path)
                found[path] = status.st_size, status.st_mtime_ns
    return found


def check_message(result, *, code):
    """Check that a command ended with a message of ours."""
    assert result.exception is None or isinstance(result.exception, SystemExit), repr(result.exception)[:300]
    assert "Traceback" not in result.stderr
    assert result.exit_code == code, f"{result.exit_code} {result.output[:500]}"
    assert len(result.stderr) <= LONGEST_MESSAGE


@pytest.mark.parametrize(("name", "fault"), CASES)
def test_a_faulty_file_is_one_error_and_writes_nothing(world, tmp_path, name, fault):
    reader = READERS[name]
    path, faulty = make_input(world, tmp_path, reader, fault)
    before = listing(tmp_path, world)
    result = invoke(reader.command, world=world, path=path)
    if fault in reader.accepts:
        assert f"error: {faulty}" not in result.output
        check_message(result, code=result.exit_code)
        return
    check_message(result, code=reader.code)
    assert listing(tmp_path, world) == before
    named = faulty.name in result.output or (reader.named is not None and reader.named in result.output)
    assert named, result.output[:500]
    if fault in VALUES and reader.places:
        assert any(place in result.output for place in reader.places), result.output[:500]


@pytest.mark.parametrize("name", [name for name, reader in READERS.items() if not reader.folder])
def test_a_nul_in_a_path_is_an_error_and_writes_nothing(world, tmp_path, name):
    before = listing(tmp_path, world)
    result = invoke(READERS[name].command, world=world, path=tmp_path / f"a\0b{READERS[name].suffix}")
    assert result.exit_code in {1, 2, READERS[name].code}  # 1: as a setting; 2: click refuses what no shell can pass
    check_message(result, code=result.exit_code)
    assert listing(tmp_path, world) == before
    assert "NUL" in result.stderr or "null" in result.stderr or "a\\x00b" in result.stderr, result.stderr


@pytest.mark.parametrize("fault", [*PATHS, *CONTENTS])
def test_a_faulty_cache_changes_no_metric(world, tmp_path, fault):
    """A cache only saves time: a faulty one is named in a warning, and the embeddings are computed again."""
    command = "eval {world}/model.pt --trials {world}/trials.txt --audio-root {world}/corpus --json"
    expected = invoke(command, world=world, cache=tmp_path)
    (file,) = tmp_path.rglob("embeddings.sqlite")
    good = file.read_bytes()
    file.unlink()
    make_file(fault, file, good)
    result = invoke(command, world=world, cache=tmp_path)
    check_message(result, code=0)
    assert json.loads(result.stdout)["trials"] == json.loads(expected.stdout)["trials"]
    is_usable = fault in {"missing", "empty", "enormous"}  # SQLite knows the length of its file
    assert (file.name in result.stderr) != is_usable, result.stderr


@pytest.mark.parametrize("file", ["mine.json", "mine.pt"])
@pytest.mark.parametrize("fault", [*PATHS, *CONTENTS, *VALUES])
def test_a_faulty_own_model_is_one_error(world, tmp_path, file, fault):
    shutil.copytree(world / "cache" / "zoo", tmp_path / "zoo")
    path = tmp_path / "zoo" / file
    good = path.read_bytes()
    path.unlink()
    if fault in VALUES:
        path.write_text(f'{{"name": {VALUES[fault][1]}}}')
    else:
        make_file(fault, path, good)
    before = listing(tmp_path, world)
    result = invoke("embed {world}/a.wav --model mine", world=world, cache=tmp_path)
    check_message(result, code=1)
    assert file in result.stderr or fault in {"missing", "folder", "loop"}  # then there is no model of this name
    assert "mine" in result.stderr
    assert listing(tmp_path, world) == before


@pytest.mark.parametrize("file", ["key.json", "shard-00000.npy", "shard-00000.sha256"])
@pytest.mark.parametrize("fault", ["missing", "empty", "truncated", "enormous", "NUL", "not UTF-8", "nested"])
def test_a_faulty_feature_store_is_computed_again(world, tmp_path, file, fault):
    shutil.copytree(world / "features", tmp_path / "features")
    store = min((tmp_path / "features").glob("crops-*"))
    good = (store / file).read_bytes()
    (store / file).unlink()
    if fault == "nested":
        (store / file).write_text(VALUES[fault][1])
    else:
        make_file(fault, store / file, good)
    command = "train --config {world}/head.yaml --set logging.save_dir={path} --set features.folder={path}/features"
    check_message(invoke(command, world=world, path=tmp_path), code=0)
    assert (store / file).read_bytes() == good


WRONG = {"negative": -1, "text": "x", "none": None, "list": [], "NaN": float("nan"), "tensor": torch.zeros(2)}
EDITED = {
    "optimiser": {"negative", "text", "none", "list", "NaN", "tensor"},
    "optimiser.state": {"negative", "text", "none", "list", "NaN", "tensor"},
    "optimiser.state.0": {"list", "tensor", "text"},
    "optimiser.state.0.step": {"negative", "none", "tensor"},
    "optimiser.state.0.exp_avg": {"negative", "text", "none", "list", "NaN", "tensor"},
    "optimiser.param_groups": {"negative", "text", "none", "list", "NaN"},
    "progress": {"negative", "text", "list", "NaN", "tensor"},
    "progress.epoch": {"negative", "text", "none", "list", "NaN", "tensor"},
    "progress.n_parts": {"negative", "text", "none", "list"},
    "progress.best_value": {"text", "none", "list", "NaN"},
    "processes": {"negative", "text", "none", "list", "NaN", "tensor"},
    "processes.n": {"negative", "text", "none", "list", "NaN", "tensor"},
    "random_states": {"negative", "text", "none", "NaN", "tensor"},
    "random_states.0": {"negative", "text", "none", "list", "tensor"},
    "random_states.0.numpy.has_gauss": {"text", "none", "list"},
    "config": {"negative", "text", "list", "NaN", "tensor"},
    "criterion": {"negative", "text", "none", "list", "tensor"},
    "model": {"negative", "text", "none", "list", "tensor"},
    "format_version": {"negative", "text", "none", "list", "NaN", "tensor"},
    "architecture": {"negative", "text", "none", "list", "tensor"},
    "card": {"negative", "text", "list", "tensor"},
}


def test_the_same_checkpoint_unedited_is_resumed(world, tmp_path):
    run = shutil.copytree(world / "checkpoints/run", tmp_path / "run")
    result = invoke("train --resume {path} --set training.num_epochs=2 --allow-changes", world=world, path=run)
    check_message(result, code=0)


@pytest.mark.parametrize(("place", "wrong"), [(place, wrong) for place in EDITED for wrong in sorted(EDITED[place])])
def test_a_checkpoint_edited_by_hand_is_one_error(world, tmp_path, place, wrong):
    run = shutil.copytree(world / "checkpoints/run", tmp_path / "run")
    entries = torch.load(run / "last.pt", weights_only=True)
    *above, last = [int(part) if part.isdigit() else part for part in place.split(".")]
    node = entries
    for part in above:
        node = node[part]
    node[last] = WRONG[wrong]
    torch.save(entries, run / "last.pt")
    before = listing(run, world)
    result = invoke("train --resume {path} --set training.num_epochs=2 --allow-changes", world=world, path=run)
    check_message(result, code=1)
    assert "last.pt" in result.stderr
    assert listing(run, world) == before


KEYS = {  # a key of each kind of number, with ``{}`` in the place of a good one
    "seed": "{}",
    "training.learning_rate": "{}",
    "model.matryoshka_dims": "[4, {}]",
    "data.volume_range": "[{}, 6]",
    "loss.margin_shares": "{{8: {}}}",
}
MEANT = {("data.volume_range", "negative")}  # a change of volume by -1 dB


@pytest.mark.parametrize("channel", ["--set", "environment", ".env"])
@pytest.mark.parametrize(("key", "fault"), [(key, fault) for key in KEYS for fault in VALUES])
def test_a_faulty_setting_is_one_error_that_names_it(world, tmp_path, monkeypatch, channel, key, fault):
    monkeypatch.chdir(tmp_path)
    value, variable = KEYS[key].format(VALUES[fault][0]), "MRLSPK_" + key.upper().replace(".", "__")
    monkeypatch.setenv(variable, value)
    if channel != "environment":
        monkeypatch.delenv(variable)
    if channel == ".env":
        (tmp_path / ".env").write_text(f"{variable}='{value}'\n")
    before = listing(tmp_path, world)
    result = invoke(EVAL, world=world, further=("--set", f"{key}={value}") if channel == "--set" else ())
    if (key, fault) in MEANT:
        check_message(result, code=0)
        return
    check_message(result, code=1)
    assert key in result.stderr or variable in result.stderr, result.stderr
    assert listing(tmp_path, world) == before


@pytest.mark.parametrize(
    ("fault", "is_error"),
    [
        *(
            ("unreadable", True),
            ("enormous", True),
            ("NUL", True),
            ("not UTF-8", True),
            ("300 bytes in its name", False),
        ),
        *(("missing", False), ("folder", False), ("loop", False), ("empty", False), ("truncated", False)),
    ],
)
def test_a_dotenv_that_cannot_be_read_is_one_error(world, tmp_path, monkeypatch, fault, is_error):
    """A folder of this name may be a virtual environment, and a file that is not there is none."""
    monkeypatch.chdir(tmp_path)
    make_file(fault, tmp_path / ".env", b"WANDB_MODE=offline\nOTHER=1\n")
    monkeypatch.setenv("WANDB_MODE", "offline")  # so that what the file sets is removed after the test
    monkeypatch.setenv("OTHER", "1")
    result = invoke("embed {world}/a.wav --model {world}/model.pt", world=world)
    check_message(result, code=int(is_error))
    assert (".env" in result.stderr) == is_error


@pytest.mark.parametrize(
    ("sent", "named"),
    [
        (b"", "stdin"),
        (b"\n \n", "stdin"),
        (b"caf\xe9.wav\n", "stdin"),
        (b"a\0b.wav\n", "a\\x00b.wav"),
        (b"x" * 300 + b".wav\n", "x" * 300),
        (b"9" * 5000 + b"\n", "99999"),
        (b"missing.wav\n", "missing.wav"),
        (b"-1\n", "-1"),
    ],
)
def test_faulty_paths_on_stdin_are_one_error(world, tmp_path, sent, named):
    before = listing(tmp_path, world)
    result = invoke("embed - --model {world}/model.pt -o {world}/new.npz", world=world, input=sent)
    check_message(result, code=3)
    assert named in result.stderr, result.stderr
    assert listing(tmp_path, world) == before


@pytest.mark.process
@pytest.mark.parametrize(
    ("arguments", "code", "named"),
    [
        (("train", "--set", f"seed={'[' * 20_000}"), 1, "--set seed: is not YAML: line 1, column 51"),
        (("train", "--config", "x" * 300), 1, "File name too long"),
        (("train", "--set", "seed=2026-13-45"), 1, "no valid timestamp"),
        (("embed", "y" * 300 + ".wav", "--model", "{world}/model.pt"), 3, "y" * 300),
        (("eval", "{world}/model.pt", "--trials", "/proc/self/mem"), 3, "/proc/self/mem: cannot be read"),
    ],
)
def test_a_faulty_input_of_a_real_process_is_one_error(world, tmp_path, arguments, code, named):
    done = subprocess.run(
        [sys.executable, "-m", "mrlspk", *(each.replace("{world}", str(world)) for each in arguments)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (code, "")
    assert named in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())

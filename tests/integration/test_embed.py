"""``mrlspk embed``: ids, widths, files, and bad input."""

import json
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from typer.testing import CliRunner

import mrlspk
from mrlspk.cli.app import app
from mrlspk.inference.torch_backend import TorchBackend


@pytest.fixture
def model(tmp_path, write_model):
    return write_model(tmp_path / "model.pt")


def write_wav(path, samples=8000, rate=16000, scale=0.1):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, scale * np.random.default_rng(len(str(path))).normal(size=samples), rate)
    return path


def test_folder_and_file_ids_follow_the_input_order(run, model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("in/b/2.wav", "in/a/1.wav", "single.wav"):
        write_wav(tmp_path / name)
    outcome = run("embed", "single.wav", "in", "--model", model, "--json")
    assert outcome.exit_code == 0
    assert [entry["id"] for entry in outcome.json["embeddings"]] == ["single.wav", "a/1.wav", "b/2.wav"]
    assert outcome.json["errors"] == []
    assert {"schema_version", "command", "mrlspk_version"} <= outcome.json.keys()


def test_prefix_is_cut_first_then_normalised_as_in_python(run, model, tmp_path):
    path = write_wav(tmp_path / "a.wav")
    found = {
        dim: np.array(run("embed", path, "--model", model, "--dim", dim, "--json").json["embeddings"][0]["embedding"])
        for dim in (4, 8)
    }
    assert found[4] == pytest.approx(found[8][:4] / np.linalg.norm(found[8][:4]), abs=1e-6)
    encoder = mrlspk.load(model, device="cpu")
    assert encoder.embed(path, dim=4) == pytest.approx(found[4], abs=1e-6)
    samples, _ = soundfile.read(path, dtype="float32")
    assert encoder.embed(samples) == pytest.approx(found[8], abs=1e-6)
    assert encoder.embed(torch.from_numpy(samples)) == pytest.approx(found[8], abs=1e-6)
    assert encoder.similarity(path, samples, dim=4) == pytest.approx(1.0, abs=1e-6)


def embed_stdin(text, *arguments):
    """Run ``mrlspk embed -`` with text or bytes on stdin."""
    result = CliRunner().invoke(app, ["embed", "-", *map(str, arguments)], input=text)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_paths_come_from_stdin_and_from_lists(run, model, tmp_path):
    paths = [str(write_wav(tmp_path / name)) for name in ("a.wav", "b.wav")]
    (tmp_path / "list.txt").write_text("\n".join(paths) + "\n")
    from_list = run("embed", tmp_path / "list.txt", "--model", model, "--json").json["embeddings"]
    assert [entry["id"] for entry in from_list] == paths
    piped = embed_stdin("\n".join(paths) + "\n\n", "--model", model, "--json")
    assert piped.exit_code == 0
    assert json.loads(piped.stdout)["embeddings"] == from_list


def test_byte_order_mark_is_not_part_of_the_first_path(run, model, tmp_path):
    path = str(write_wav(tmp_path / "a.wav"))
    (tmp_path / "list.txt").write_text(path, encoding="utf-8-sig")
    assert run("embed", tmp_path / "list.txt", "--model", model, "--json").json["embeddings"][0]["id"] == path
    piped = embed_stdin(path.encode("utf-8-sig"), "--model", model, "--json")
    assert json.loads(piped.stdout)["embeddings"][0]["id"] == path


def test_list_that_is_not_utf8_exits_3(run, model, tmp_path):
    (tmp_path / "list.txt").write_bytes(b"caf\xe9.wav\n")
    outcome = run("embed", tmp_path / "list.txt", "--model", model)
    assert outcome.exit_code == 3
    assert "list.txt: is not UTF-8" in outcome.stderr
    piped = embed_stdin(b"caf\xe9.wav\n", "--model", model)
    assert piped.exit_code == 3
    assert "stdin: is not UTF-8" in piped.stderr


def test_empty_list_exits_3(run, model, tmp_path):
    (tmp_path / "list.txt").write_text("\n")
    for outcome in (run("embed", tmp_path / "list.txt", "--model", model), embed_stdin("", "--model", model)):
        assert (outcome.exit_code, outcome.stdout) == (3, "")
        assert "no audio is named" in outcome.stderr or "list.txt: names no audio" in outcome.stderr


@pytest.mark.parametrize("name", ["out.npz", "out.jsonl", "out.parquet"])
def test_output_files_equal_the_json_output(run, model, tmp_path, name):
    paths = [write_wav(tmp_path / "x" / name) for name in ("a.wav", "b.wav")]
    shown = run("embed", tmp_path / "x", "--model", model, "--json", "-o", tmp_path / name).json["embeddings"]
    assert len(shown) == len(paths)
    if name.endswith("npz"):
        with np.load(tmp_path / name) as file:
            ids, vectors = file["ids"].tolist(), file["embeddings"]
            warnings = file["warnings"].tolist()
    elif name.endswith("jsonl"):
        rows = [json.loads(line) for line in (tmp_path / name).read_text().splitlines()]
        ids, vectors = [row["id"] for row in rows], [row["embedding"] for row in rows]
        warnings = [", ".join(row["warnings"]) for row in rows]
    else:
        from pyarrow import parquet

        table = parquet.read_table(tmp_path / name)
        ids, vectors = table["id"].to_pylist(), table["embedding"].to_pylist()
        warnings = [", ".join(row) for row in table["warnings"].to_pylist()]
    assert ids == [entry["id"] for entry in shown]
    assert warnings == [", ".join(entry["warnings"]) for entry in shown]
    assert np.array(vectors) == pytest.approx(np.array([entry["embedding"] for entry in shown]), abs=1e-7)


def test_files_are_counted_only_if_there_are_several(run, model, tmp_path):
    (tmp_path / "bad.wav").write_text("no audio")
    outcome = run("embed", tmp_path / "bad.wav", "--model", model)
    assert (outcome.exit_code, "files could not" in outcome.stderr) == (3, False)
    assert f"error: {tmp_path / 'bad.wav'}: cannot be decoded" in outcome.stderr
    outcome = run("embed", write_wav(tmp_path / "a.wav"), tmp_path / "bad.wav", "--model", model)
    assert "error: 1 of 2 files could not be embedded:" in outcome.stderr


def test_output_is_not_overwritten_without_force(run, model, tmp_path):
    path, out = write_wav(tmp_path / "a.wav"), tmp_path / "out.npz"
    out.write_text("precious")
    outcome = run("embed", path, "--model", model, "-o", out)
    assert (outcome.exit_code, out.read_text()) == (1, "precious")
    assert "--force" in outcome.stderr
    assert run("embed", path, "--model", model, "-o", out, "--force").exit_code == 0
    assert np.load(out)["embeddings"].shape == (1, 8)


def test_embeddings_are_shown_if_the_file_cannot_be_written(run, model, tmp_path, monkeypatch):
    def full_disk(_fd):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full_disk)
    path, out = write_wav(tmp_path / "a.wav"), tmp_path / "new" / "out.npz"
    outcome = run("embed", path, "--model", model, "--backend", "torch", "--json", "-o", out)
    assert outcome.exit_code == 1
    assert f"{out}: cannot be written: No space left on device" in outcome.stderr
    assert [entry["id"] for entry in outcome.json["embeddings"]] == [str(path)]
    assert [each.name for each in out.parent.iterdir()] == ["out.npz.partial"]
    monkeypatch.undo()
    assert run("embed", path, "--model", model, "--backend", "torch", "-o", out, "--resume").exit_code == 0
    assert np.load(out)["ids"].tolist() == [str(path)]


@pytest.mark.parametrize(
    "arguments",
    [("embed", "a.wav", "-o", "text/x.npz"), ("gpu-profile", "--vram-limit", "8GiB", "--write", "text/x.yaml")],
)
def test_output_below_a_file_is_refused_before_any_work(run, tmp_path, monkeypatch, arguments):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text").write_text("no folder")
    outcome = run(*arguments)
    assert outcome.exit_code == 1
    assert "text is in the way" in outcome.stderr


def test_parquet_without_its_package_says_what_to_type(run, model, tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    outcome = run("embed", write_wav(tmp_path / "a.wav"), "--model", model, "-o", tmp_path / "out.parquet")
    assert outcome.exit_code == 4
    assert "pip install pyarrow" in outcome.stderr


def test_silence_is_embedded_with_a_warning(run, model, tmp_path):
    soundfile.write(tmp_path / "quiet.wav", np.zeros(8000), 16000)
    outcome = run("embed", tmp_path / "quiet.wav", "--model", model, "--json")
    assert outcome.exit_code == 0
    assert outcome.json["embeddings"][0]["warnings"] == ["silent"]


def test_telephone_speech_is_resampled_with_a_warning(run, model, tmp_path):
    path = write_wav(tmp_path / "phone.wav", samples=8000, rate=8000)
    entry = run("embed", path, "--model", model, "--speech", "all", "--json").json["embeddings"][0]
    assert entry["warnings"] == ["upsampled from 8000 Hz"]
    assert entry["seconds"] == 1.0


def truncated_m4a(shared, path):
    whole = next((shared / "speech" / "train").glob("ls*/*/*.m4a")).read_bytes()
    path.write_bytes(whole[: len(whole) // 2])


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("cut.m4a", truncated_m4a),
        ("text.wav", lambda _shared, path: path.write_text("this is not audio")),
        ("short.wav", lambda _shared, path: soundfile.write(path, np.full(200, 0.1), 16000)),
    ],
)
def test_bad_audio_exits_3_and_the_rest_is_embedded(run, model, tmp_path, shared, name, make):
    good = write_wav(tmp_path / "good.wav")
    make(shared, tmp_path / name)
    out = tmp_path / "out.npz"
    outcome = run("embed", good, tmp_path / name, "--model", model, "--json", "-o", out)
    assert outcome.exit_code == 3
    assert [entry["id"] for entry in outcome.json["embeddings"]] == [str(good)]
    assert [entry["id"] for entry in outcome.json["errors"]] == [str(tmp_path / name)]
    assert name in outcome.stderr
    assert np.load(out)["ids"].tolist() == [str(good)]


@pytest.mark.parametrize("name", ["missing.wav", "missing", "empty", "list.txt", "n" * 300])
def test_absent_path_among_others_is_an_error_entry(run, model, tmp_path, name):
    good, other = write_wav(tmp_path / "good.wav"), tmp_path / name
    (tmp_path / "empty").mkdir()
    (tmp_path / "list.txt").write_bytes(b"\xe9")
    out = tmp_path / "out.npz"
    outcome = run("embed", other, good, "--model", model, "--json", "-o", out)
    assert outcome.exit_code == 3
    assert [entry["id"] for entry in outcome.json["embeddings"]] == [str(good)]
    assert [entry["id"] for entry in outcome.json["errors"]] == [str(other)]
    assert str(other) in outcome.stderr
    assert np.load(out)["ids"].tolist() == [str(good)]
    piped = embed_stdin(f"{other}\n{good}\n", "--model", model, "--json")
    assert piped.exit_code == 3
    shown = json.loads(piped.stdout)
    assert [entry["id"] for kind in ("errors", "embeddings") for entry in shown[kind]] == [str(other), str(good)]


@pytest.mark.parametrize("name", ["empty", "missing"])
def test_empty_or_missing_folder_exits_3(run, model, tmp_path, name):
    (tmp_path / "empty").mkdir()
    outcome = run("embed", tmp_path / name, "--model", model)
    assert outcome.exit_code == 3
    assert name in outcome.stderr
    assert outcome.stdout == ""


def test_repeated_id_is_refused(run, model, tmp_path):
    path = write_wav(tmp_path / "a.wav")
    outcome = run("embed", path, path, "--model", model)
    assert outcome.exit_code == 2
    assert "same id" in outcome.stderr


def test_width_that_the_model_lacks_exits_2(run, model, tmp_path):
    path = write_wav(tmp_path / "a.wav")
    outcome = run("embed", path, "--model", model, "--dim", 16)
    assert outcome.exit_code == 2
    assert "so it has no width 16" in outcome.stderr
    untrained = run("embed", path, "--model", model, "--dim", 6)
    assert untrained.exit_code == 2
    assert "--allow-untrained-dim" in untrained.stderr
    allowed = run("embed", path, "--model", model, "--dim", 6, "--allow-untrained-dim", "--json")
    assert len(allowed.json["embeddings"][0]["embedding"]) == 6


class Payload:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (exec, (f"import pathlib; pathlib.Path({str(self.path)!r}).touch()",))


@pytest.mark.parametrize("kind", ["pickle", "text", "missing", "onnx", "other"])
def test_file_that_is_not_a_checkpoint_exits_1_and_runs_nothing(run, tmp_path, kind):
    path = tmp_path / ("model.onnx" if kind == "onnx" else "model.pt")
    if kind == "pickle":
        path.write_bytes(pickle.dumps(Payload(tmp_path / "ran")))
    elif kind == "other":
        torch.save({"weights": torch.zeros(2)}, path)
    elif kind != "missing":
        path.write_text("no model")
    outcome = run("embed", write_wav(tmp_path / "a.wav"), "--model", path, "-o", tmp_path / "out.npz")
    assert outcome.exit_code == 1
    assert path.name in outcome.stderr
    assert not (tmp_path / "ran").exists()
    assert not (tmp_path / "out.npz").exists()


def test_published_name_without_network_exits_4_with_the_command(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MRLSPK_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("MRLSPK_MIRROR", "http://127.0.0.1:9")  # nothing listens there
    outcome = run("embed", write_wav(tmp_path / "a.wav"))
    assert outcome.exit_code == 4
    assert "model: redimnet-b2-vox2-ft_lm" in outcome.stderr
    assert "mrlspk pretrained fetch" in outcome.stderr


@pytest.mark.parametrize("command", [("embed", "a.wav"), ("pretrained", "list"), ("pretrained", "fetch", "name")])
def test_misspelt_variable_is_refused_with_the_nearest(run, tmp_path, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MRLSPK_MIRROR", "http://127.0.0.1:9")  # nothing listens there
    monkeypatch.setenv("MRLSPK_MODLE", "model.pt")
    outcome = run(*command)
    assert outcome.exit_code == 1
    assert outcome.stderr == "error: MRLSPK_MODLE: unknown variable; did you mean MRLSPK_MODEL?\n"


def test_settings_of_the_configuration_hold(run, model, tmp_path, monkeypatch):
    path = write_wav(tmp_path / "a.wav", samples=32_000)
    whole = run("embed", path, "--model", model, "--json").json["embeddings"][0]["embedding"]
    monkeypatch.setenv("MRLSPK_EVALUATION__MAX_SECONDS", "1")
    windows = run("embed", path, "--model", model, "--json").json["embeddings"][0]["embedding"]
    assert windows != pytest.approx(whole, abs=1e-6)
    monkeypatch.setenv("MRLSPK_HARDWARE__DEVICE", "cuda:99")
    outcome = run("embed", path, "--model", model)
    assert outcome.exit_code == 4
    assert "--device: this machine has no device cuda:99" in outcome.stderr
    assert run("embed", path, "--model", model, "--device", "cpu").exit_code == 0


def test_batch_size_is_the_flags_or_else_the_configurations(run, model, tmp_path, monkeypatch):
    for name in ("a.wav", "b.wav", "c.wav"):
        write_wav(tmp_path / "in" / name)
    batches = []
    embed = TorchBackend.embed
    monkeypatch.setattr(TorchBackend, "embed", lambda backend, x: batches.append(len(x)) or embed(backend, x))
    monkeypatch.setenv("MRLSPK_EVALUATION__BATCH_SIZE", "2")
    for flags in ((), ("--batch-size", 3)):
        run("embed", tmp_path / "in", "--model", model, "--backend", "torch", *flags)
    assert batches == [2, 1, 3]


def test_dotenv_that_is_not_utf8_is_named(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_bytes(b"NAME=caf\xe9\n")
    outcome = run("embed", "a.wav")
    assert outcome.exit_code == 1
    assert outcome.stderr.startswith("error: .env: is not UTF-8 text: byte ")


@pytest.mark.parametrize(("value", "problem"), [(3e38, "not finite"), (0.0, "is zero")])
def test_useless_model_gives_errors_instead_of_embeddings(run, model, tmp_path, value, problem):
    entries = torch.load(model)
    for name, tensor in entries["model"].items():
        if name.startswith("head.") and tensor.is_floating_point():
            tensor.fill_(value)
    torch.save(entries, tmp_path / "bad.pt")
    path, out = write_wav(tmp_path / "a.wav"), tmp_path / "out.npz"
    outcome = run("embed", path, "--model", tmp_path / "bad.pt", "--json", "-o", out)
    assert outcome.exit_code == 3
    assert outcome.json["embeddings"] == []
    assert outcome.json["errors"][0]["id"] == str(path)
    assert problem in outcome.json["errors"][0]["message"]
    assert not out.exists()


@pytest.mark.parametrize("exists", [True, False])
def test_name_that_is_not_utf8_is_shown_as_an_error(run, model, tmp_path, exists):
    good = write_wav(tmp_path / "good.wav")
    odd = os.fsencode(tmp_path) + b"/caf\xe9.wav"
    if exists:
        Path(os.fsdecode(odd)).write_bytes(good.read_bytes())
    outcome = run("embed", good, os.fsdecode(odd), "--model", model, "--json")
    assert outcome.exit_code == 3
    assert [entry["id"] for entry in outcome.json["errors"]] == [f"{tmp_path}/caf\\xe9.wav"]
    assert [entry["id"] for entry in outcome.json["embeddings"]] == [str(good)]


def test_graph_is_made_for_many_files_and_then_used_for_few(run, model, tmp_path, monkeypatch):
    from mrlspk.workflows import embed

    monkeypatch.setattr(embed, "GRAPH_FILES", 2)
    few, many = write_wav(tmp_path / "a.wav"), write_wav(tmp_path / "b.wav")
    files = [(few,), (few, many), (few,)]
    assert [run("embed", *each, "--model", model, "--json").json["backend"] for each in files] == [
        "torch",
        "onnxruntime",
        "onnxruntime",
    ]


def test_few_files_are_shown_and_many_counted(run, model, tmp_path, monkeypatch):
    monkeypatch.setattr("mrlspk.cli.embed.MOST_ROWS", 2)
    paths = [write_wav(tmp_path / name) for name in ("a.wav", "b.wav", "c.wav")]
    few, many = (run("embed", *some, "--model", model) for some in (paths[:2], paths))
    assert f"{paths[0]} " in few.stdout
    assert "embedded  2 files, 1.0 s of audio" in few.stdout
    assert "are not kept" not in few.stderr
    assert str(paths[0]) not in many.stdout
    assert "embedded  3 files, 1.5 s of audio" in many.stdout
    assert "the embeddings of 3 files are not kept: give --output" in many.stderr
    written = run("embed", *paths, "--model", model, "-o", tmp_path / "out.npz")
    assert str(paths[0]) not in written.stdout
    assert "not kept" not in written.stderr
    refused = run("embed", *paths, "--model", paths[0])
    assert (refused.exit_code, "not kept" in refused.stderr) == (1, False)


def test_verified_files_are_embedded_again_singly(run, model, tmp_path, monkeypatch):
    for name in ("a.wav", "b.wav", "c.wav"):
        write_wav(tmp_path / "in" / name)
    words = ("embed", tmp_path / "in", "--model", model, "--backend", "torch", "--verify", 2, "-o", tmp_path / "o.npz")
    batches, embed = [], TorchBackend.embed

    def record(backend, waveforms):
        batches.append(len(waveforms))
        return embed(backend, waveforms) + (0.01 if batches == [3, 1, 1] else 0)

    monkeypatch.setattr(TorchBackend, "embed", record)
    outcome = run(*words)
    assert batches == [3, 1, 1]
    assert outcome.exit_code == 1
    assert "--verify: 1 of 2 files differ by more than 1e-05 when embedded singly:\n  b.wav: " in outcome.stderr
    assert [path.name for path in tmp_path.glob("o.npz*")] == ["o.npz.partial"]
    monkeypatch.undo()
    shown = run(*words, "--resume", "--json").json
    assert shown["verified"]["files"] == 2
    assert shown["verified"]["max_difference"] <= 1e-5


def test_file_that_vanishes_before_it_is_verified_is_named(run, model, tmp_path, monkeypatch):
    path, embed = write_wav(tmp_path / "a.wav"), TorchBackend.embed

    def vanish(backend, waveforms):
        path.unlink()
        return embed(backend, waveforms)

    monkeypatch.setattr(TorchBackend, "embed", vanish)
    outcome = run("embed", path, "--model", model, "--backend", "torch", "--verify", 1)
    assert outcome.exit_code == 3
    assert f"error: {path}: cannot be verified: " in outcome.stderr

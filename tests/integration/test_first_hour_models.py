"""Meet the mistakes of the first hour: models that are not the expected ones."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from factories import write_tiny_model
from first_hour import Situation


def write_run(name, **card):
    """Write ``best.pt`` of a run with a model card."""
    best = write_tiny_model(Path("checkpoints") / name / "best.pt", (8,))
    data = {"folder": "vox1", "synthetic": card.pop("synthetic", False)}
    content = {"data": data, "family": "redimnet", "results": [{"dim": 8, "eer": 0.0312}], **card}
    best.with_name("best.card.json").write_text(json.dumps(content))


def only_runs_for_a_try():
    write_run("demo", synthetic=True)
    write_run("debug", debug_batches=2)


def write_voice():
    soundfile.write("a.wav", np.random.default_rng(0).normal(size=8000) / 10, 16_000)


def write_strange_files():
    Path("page.pt").write_text("<html>404</html>")
    np.savez("embeddings.npz", ids=["a"], embeddings=np.zeros((1, 8), np.float32))


def write_damaged_run():
    write_voice()
    write_run("real")
    last = write_tiny_model(Path("checkpoints/real/last.pt"), (8,))
    last.with_name("config.yaml").touch()
    last.with_name("best.pt").write_bytes(last.read_bytes()[:1000])


def write_corpus():
    """Write a corpus of empty files."""
    for path in (Path("corpus", f"s{speaker}", f"{file}.wav") for speaker in range(43) for file in range(2)):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


SITUATIONS = [
    Situation(
        "a narrow width of a model of one width",
        ("embed", "a.wav", "--model", "{model}", "--dim", "4", "--speech", "all"),
        2,
        ("It has one width, 8. To give it more: mrlspk rotate {model} --speech DIR --dims 4 -o rotated.pt",),
        prepare=write_voice,
    ),
    Situation(
        "a narrow width to verify",
        ("verify", "a.wav", "a.wav", "--model", "{model}", "--dims", "4,6"),
        2,
        ("mrlspk rotate {model} --speech DIR --dims 4,6 -o rotated.pt --allow-untrained-dim takes the first 4",),
        prepare=write_voice,
    ),
    Situation(
        "embeddings to rotate",
        ("rotate", "embeddings.npz", "--speech", ".", "-o", "rotated.pt"),
        1,
        ("is not a model but a file of embeddings `mrlspk eval|compare|calibrate` take it as --vectors FILE.",),
        prepare=write_strange_files,
    ),
    Situation(
        "a model as vectors",
        ("eval", "--vectors", "{model}", "--trials", "trials.txt"),
        3,
        ("got a PyTorch checkpoint If it is a model, give it as MODEL.",),
        prepare=write_strange_files,
    ),
    Situation(
        "a web page as model",
        ("pretrained", "inspect", "page.pt"),
        1,
        ("page.pt: is not a checkpoint but a web page Download the file itself.",),
        prepare=write_strange_files,
    ),
    Situation(
        "a run to keep",
        ("pretrained", "add", "checkpoints/real", "--name", "mine"),
        1,
        ("checkpoints/real: is a folder, expected a model file Did you mean checkpoints/real/best.pt?",),
        prepare=lambda: write_run("real"),
    ),
    Situation(
        "ONNX out of convert",
        ("pretrained", "convert", "{model}", "-o", "model.onnx"),
        2,
        ("expected a file that ends in .pt or .safetensors", "`mrlspk export` writes ONNX."),
    ),
    Situation(
        "the newest run is damaged",
        ("embed", "a.wav"),
        1,
        (
            "model: checkpoints/real/best.pt, the newest run",
            "is damaged or no checkpoint: its end is missing It is of the run checkpoints/real:",
            "use another of its checkpoints (checkpoints/real/last.pt), or give another model.",
        ),
        prepare=write_damaged_run,
    ),
    Situation(
        "half a published name",
        ("embed", "{model}", "--model", "b2"),
        1,
        ("Did you mean redimnet-b2-vox2-ptn, redimnet-b2-vox2-ft_lm, redimnet2-b2-vox2-ptn or redimnet2-b2-vox2-lm?",),
    ),
    Situation(
        "half a name to fetch",
        ("pretrained", "fetch", "campplus"),
        1,
        ("Did you mean 3dspeaker_speech_campplus_sv_zh_en_16k-common_advanced,", "`mrlspk pretrained list` shows all"),
    ),
    Situation(
        "a file to fetch",
        ("pretrained", "fetch", "checkpoints/real/best.pt"),
        2,
        ("is a file of this machine already", "mrlspk pretrained add checkpoints/real/best.pt --name NAME"),
        prepare=lambda: write_run("real"),
    ),
    Situation(
        "the folder of a run as model",
        ("verify", "{model}", "{model}", "--model", "checkpoints/real"),
        1,
        ("checkpoints/real: is a folder, expected a model file Did you mean checkpoints/real/best.pt?",),
        prepare=lambda: write_run("real"),
    ),
    Situation(
        "a checkpoint without its folder",
        ("eval", "best.pt"),
        1,
        ("no such model file Did you mean checkpoints/real/best.pt?",),
        prepare=lambda: write_run("real"),
    ),
    Situation(
        "offline and nothing named",
        ("embed", "{model}"),
        4,
        ("no connection to 127.0.0.1: is this machine offline?", "No model is named: give --model FILE to use a file."),
    ),
    Situation(
        "offline and a name",
        ("pretrained", "fetch", "redimnet-b2-vox2-ft_lm"),
        4,
        ("is this machine offline?", "A model file of yours needs no network: give its path in place of the name."),
    ),
    Situation(
        "offline and training",
        ("train", "--set", "data.train_dataset=corpus", "--dry-run"),
        4,
        ("is this machine offline? No model is named: give --init-from FILE to use a file. With a network",),
        prepare=write_corpus,
    ),
    Situation(
        "only runs for a try and no network",
        ("embed", "{model}"),
        4,
        (
            "model: redimnet-b2-vox2-ft_lm, the published default (trained on VoxCeleb2, EER 0.57 %",
            "not used: checkpoints/debug/best.pt, a debug run; name it to use it",
        ),
        prepare=only_runs_for_a_try,
    ),
    Situation(
        "a real run",
        ("embed", "{model}", "--speech", "all"),
        3,
        (
            "model: checkpoints/real/best.pt, the newest run (20",
            "trained on vox1, EER 3.12 % on its held-out speakers)",
        ),
        prepare=lambda: write_run("real"),
    ),
]


@pytest.mark.parametrize("situation", SITUATIONS, ids=lambda each: each.name)
def test_first_hour(situation, meet, monkeypatch):
    monkeypatch.setenv(
        "MRLSPK_MIRROR", "http://127.0.0.1:1" if situation.name.startswith("offline") else "empty-mirror"
    )
    monkeypatch.setattr("mrlspk.pretrained.download.time", None)  # it would wait between attempts
    meet(situation)


def test_json_says_which_model_is_used_and_why(run, tmp_path, monkeypatch, newcomers_model, tiny_corpus):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MRLSPK_MODEL", raising=False)
    write_run("real")
    audio = tiny_corpus.root / tiny_corpus.utterance_ids[0]
    given = run("embed", audio, "--model", newcomers_model, "--json").json["model"]
    assert given == {"path": str(newcomers_model), "source": "argument"}
    found = run("embed", audio, "--json").json["model"]
    assert found.pop("date").startswith("20")
    assert found == {"path": "checkpoints/real/best.pt", "source": "newest run", "corpus": "vox1", "eer": 0.0312}
    monkeypatch.setenv("MRLSPK_MODEL", str(newcomers_model))
    for command in (["embed", audio], ["verify", audio, audio]):
        document = run(*command, "--json").json
        assert (document["schema_version"], document["model"]) == (
            2, {"path": str(newcomers_model), "source": "MRLSPK_MODEL"},
        )  # fmt: skip


@pytest.mark.usefixtures("tiny_corpus")
@pytest.mark.parametrize(
    "words",
    [
        "verify corpus/speaker0/a/1.wav corpus/speaker0/a/2.wav --model model.pt",
        "eval model.pt --trials trials.txt --audio-root corpus",
        "calibrate model.pt --trials trials.txt --audio-root corpus",
        "compare model.pt second.pt --trials trials.txt --audio-root corpus",
        "rotate model.pt --speech corpus -o rotated.pt",
        "export model.pt -o exported.onnx",
        "pretrained convert model.pt -o converted.pt",
        "train --init-from model.pt --set data.train_dataset=corpus --dry-run",
    ],
)
def test_path_of_a_model_needs_no_folder_for_fetched_models(run, tmp_path, monkeypatch, words):
    monkeypatch.chdir(tmp_path)
    for seed, name in enumerate(("model.pt", "second.pt")):
        write_tiny_model(tmp_path / name, (8,), seed=seed)
    monkeypatch.setenv("MRLSPK_CACHE_DIR", "")
    monkeypatch.setattr(Path, "home", lambda: (_ for _ in ()).throw(RuntimeError("no home")))
    outcome = run(*words.split())
    assert "MRLSPK_CACHE_DIR" not in outcome.stderr
    assert outcome.exit_code == 0 or "speakers" in outcome.stderr, outcome.stderr

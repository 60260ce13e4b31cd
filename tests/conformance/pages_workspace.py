"""A folder with what the pages name: corpora of real speech, trial lists, recordings, models and vector files."""

import hashlib
import itertools
import shutil
from pathlib import Path

import numpy as np
import soundfile
import torch
import yaml
from typer.testing import CliRunner

from conformance.pages import ROOT
from factories import TINY_BACKBONE, tiny_model, write_tiny_model
from mrlspk.cli.app import app
from speaker_graphs import SPEAKER_3D, WESPEAKER, write_speaker_graph

PUBLISHED = "redimnet-b2-vox2-ft_lm"
WIDTHS = 64, 128, 192
NAMED = "ls02033/164914/00001.wav"  # in a page
SHARES = {"train": (0, 24), "test": (24, 28), "dev": (102, 126)}  # of the speakers, one of whom is named in a page


def write_workspace(folder: Path, shared: Path) -> Path:
    """Write all that the pages name into a folder, which has to be the current one; return it."""
    shutil.copytree(ROOT / "configs", folder / "configs")
    (folder / "examples").symlink_to(ROOT / "examples")
    write_configuration(folder / "my.yaml")
    write_corpora(folder, shared)
    write_recordings(folder, shared)
    write_models(folder)
    write_vectors(folder)
    return folder


def write_configuration(path: Path) -> None:
    """Write the configuration of a run of a tiny network."""
    model = {"pretrained": {"use_pretrained": False}, "backbone": TINY_BACKBONE, "matryoshka_dims": [4, 8]}
    path.write_text(yaml.safe_dump({"model": model, "data": {"train_dataset": "corpus/train", "val_dataset": None}}))


def write_corpora(folder: Path, shared: Path) -> None:
    """Copy recordings of 52 speakers; other names for the same folders are links."""
    speakers = sorted(path for path in (shared / "speech" / "more" / "speechcmd-en").iterdir() if path.is_dir())
    for name, (start, end) in SHARES.items():
        for speaker in speakers[start:end]:
            for path in sorted(speaker.rglob("*.m4a"))[: 8 if speaker.name == "sccfbedff9" else 2]:
                copy = folder / "corpus" / name / path.relative_to(speaker.parent)
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, copy)
    write_trials(folder / "corpus" / "test", folder / "corpus" / "trials.txt")
    write_trials(folder / "corpus" / "dev", folder / "corpus" / "calibration.txt")
    for name in ("trials.txt", "calibration.txt"):
        (folder / name).symlink_to(f"corpus/{name}")
    for name in ("wav", "audio"):
        shutil.copytree(folder / "corpus" / "test", folder / name)
    shutil.copytree(folder / "corpus" / "dev", folder / "wav", dirs_exist_ok=True)
    for name in ("train", "test"):
        (folder / name).symlink_to(f"corpus/{name}")
    for name, noises in (("musan", "musan"), ("RIRS_NOISES", "rirs")):
        (folder / name).symlink_to(shared.absolute() / "speech" / noises)
    copy = folder / "corpus" / "test" / NAMED
    copy.parent.mkdir(parents=True)
    shutil.copy(shared / "speech" / "test" / NAMED, copy)
    for name, target in (("speech", "corpus"), ("demo-corpus", "corpus"), ("recordings", "corpus/dev")):
        (folder / name).symlink_to(target)


def write_trials(root: Path, path: Path) -> None:
    """Write a trial list of all pairs of the recordings of a folder, whose speaker is the first part of the path."""
    ids = sorted(each.relative_to(root).as_posix() for each in root.rglob("*.m4a"))
    pairs = itertools.combinations(ids, 2)
    path.write_text("".join(f"{int(a.split('/')[0] == b.split('/')[0])} {a} {b}\n" for a, b in pairs))


def write_recordings(folder: Path, shared: Path) -> None:
    """Write single recordings of two seconds, a table of one, and a call with a speaker on each channel."""
    paths = sorted((shared / "speech" / "test-short").glob("ls*/*/*11.wav"))
    for name, path in zip(("a", "b", "one", "other", "recording"), paths, strict=False):
        shutil.copy(path, folder / f"{name}.wav")
    soundfile.write(folder / "recording.flac", soundfile.read(folder / "recording.wav")[0], 16_000)
    (folder / "voices.csv").write_text("name,path,site\nerna,b.wav,south\n")
    parties = [soundfile.read(folder / name)[0] for name in ("a.wav", "b.wav")]
    soundfile.write(folder / "call.wav", np.stack(parties, axis=1), 16_000)


def write_models(folder: Path) -> None:
    """Write models of each kind, and put the first in the place of the default published one."""
    write_published(folder / "model.pt")
    shutil.copy(folder / "model.pt", folder / "small.pt")
    contents = torch.load(folder / "model.pt")
    del contents["state_dict"]["bn.bias"]
    torch.save(contents, folder / "broken.pt")
    write_tiny_model(folder / "wide.pt", (*WIDTHS, 256))
    for seed, name in enumerate(("best", "a", "b")):
        write_tiny_model(folder / f"{name}.pt", WIDTHS, seed=seed)
    write_speaker_graph(folder / "campplus.onnx", SPEAKER_3D)
    write_speaker_graph(folder / "wespeaker.onnx", WESPEAKER)
    write_speaker_graph(folder / "unknown.onnx")
    (folder / "mirror").mkdir()
    shutil.copy(folder / "model.pt", folder / "mirror" / f"{PUBLISHED}.pt")
    sha256 = hashlib.sha256((folder / "model.pt").read_bytes()).hexdigest()
    typed("pretrained", "fetch", PUBLISHED, "--sha256", sha256, MRLSPK_MIRROR="mirror")


def write_published(path: Path) -> None:
    """Write a tiny model of one width in the layout of the published ones."""
    encoder, architecture = tiny_model(WIDTHS[-1:])
    names = {"head.norm.": "bn.", "head.linear.": "linear."}
    state = {}
    for key, values in encoder.state_dict().items():
        prefix = next((each for each in names if key.startswith(each)), "")
        state[names.get(prefix, "") + key.removeprefix(prefix)] = values
    config = architecture.backbone.model_dump(mode="json") | {"embed_dim": WIDTHS[-1]}
    torch.save({"model_config": config, "state_dict": state}, path)


def write_vectors(folder: Path) -> None:
    """Embed the corpora into files of vectors, in the formats that are named, and fit a head of an ONNX model."""
    embed = ["embed", "--speech", "all", "--model"]
    typed(*embed, "wide.pt", "corpus/train", "-o", "train.npz")
    typed(*embed, "wide.pt", "corpus/test", "-o", "test.npz")
    typed("embed", "--model", "campplus.onnx", "corpus/dev", "-o", "other-corpus.npz")
    typed("rotate", "campplus.onnx", "--speech", "corpus/train", "--crop-seconds", "0.5", "--centre", "-o", "head.npz")
    shutil.copy(folder / "test.npz", folder / "a.npz")
    typed("vectors", "convert", "train.npz", "-o", "xvector.scp")
    typed("vectors", "convert", "test.npz", "-o", "b.scp")
    (folder / "data" / "train").mkdir(parents=True)
    ids = np.load(folder / "train.npz")["ids"]
    labels = "".join(f"{each} {each.split('/')[0]}\n" for each in ids)
    for path in (folder / "data" / "train" / "utt2spk", folder / "utt2spk"):
        path.write_text(labels)


def typed(*words: str, **environment: str) -> None:
    """Run a command that has to succeed."""
    result = CliRunner().invoke(app, words, env=environment)
    assert result.exit_code == 0, f"{words}\n{result.stderr}"

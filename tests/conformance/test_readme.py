"""What the README and the first guide tell a user to type works, and every link in the documents leads somewhere."""

import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
import typer.main
from typer.testing import CliRunner

from mrlspk.cli.app import app
from mrlspk.config.architecture import ReDimNetConfig, describe_architecture
from mrlspk.models.checkpoints import encoder_entries
from mrlspk.models.encoder import build_encoder

ROOT = Path(__file__).parents[2]
GUIDES = [ROOT / "README.md", ROOT / "docs" / "getting-started.md"]
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SMALL_RUN = {
    "training.num_epochs": 1,
    "training.batch_size": 2,
    "data.n_validation_speakers": 2,
    "data.n_validation_trials": 20,
    "data.chunk_duration": 0.5,
    "data.num_workers": 0,
    "logging.tensorboard": "false",
}
NOT_RUN = {
    "pretrained": "needs a network",
    "gpu-profile": "has tests of its own",
    "demo": "the quick start, and tests of its own",
    "logging.wandb=true": "needs an account",
}


def typed_commands(text):
    """Return the words behind ``mrlspk`` of each line of a code block that begins with it."""
    blocks = (body for kind, body in FENCE.findall(text) if kind in {"sh", "text"})
    lines = (line.removeprefix("$ ") for body in blocks for line in body.replace("\\\n", " ").splitlines())
    words = (shlex.split(line, comments=True) for line in lines if line.startswith("mrlspk "))
    return [line[1 : line.index(">") if ">" in line else None] for line in words]


def find_command(words):
    """Return the command that words lead to, and the words left for it."""
    command = typer.main.get_command(app)
    while words and words[0] in getattr(command, "commands", {}):
        command, words = command.commands[words[0]], words[1:]
    return command, words


def every_command():
    return [pytest.param(words, id=" ".join(words)) for guide in GUIDES for words in typed_commands(guide.read_text())]


@pytest.mark.parametrize("words", every_command())
def test_command_and_flags_exist(words):
    command, rest = find_command(list(words))
    assert not hasattr(command, "commands"), "names no command"
    command.make_context("mrlspk", list(rest))  # raises for an unknown flag or a value of the wrong kind


@pytest.mark.parametrize("guide", GUIDES, ids=lambda path: path.name)
def test_commands_in_sentences_exist(guide):
    prose = FENCE.sub("", guide.read_text())
    for typed in re.findall(r"`mrlspk ([^`]+)`", prose):
        command, rest = find_command(typed.split())
        flags = {flag for parameter in command.params for flag in parameter.opts} | {"--help"}
        assert rest != typed.split() or rest[0] in flags, typed
        assert [word for word in rest if word.startswith("-") and word not in flags] == [], typed


def write_corpus(root, n_speakers, *, rate=16_000, seed):
    """Write two sessions of two files of half a second for each speaker, and return their ids."""
    generator, ids = np.random.default_rng(seed), []
    time = np.arange(rate // 2) / rate
    for speaker in range(n_speakers):
        for session in ("a", "b"):
            for number in (1, 2):
                voice = np.sin(2 * np.pi * (120 + 60 * speaker + 5 * number) * time)
                ids.append(f"{root.name}{speaker}/{session}/{number}.wav")
                (root / ids[-1]).parent.mkdir(parents=True, exist_ok=True)
                soundfile.write(root / ids[-1], 0.2 * voice + 0.05 * generator.normal(size=time.size), rate)
    return ids


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    """A folder with all that the guides name: corpora, trial lists, recordings, a model to start from."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")
    for name in ("MRLSPK_MODEL", "MRLSPK_MIRROR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MRLSPK_CACHE_DIR", str(tmp_path / "cache"))
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    for corpus, test in (("corpus", "test"), ("speech", "test"), ("speech", "test-short")):
        write_corpus(tmp_path / corpus / "train", 5, seed=0)
        ids = write_corpus(tmp_path / corpus / test, 2, seed=1)
        pairs = [(a, b) for index, a in enumerate(ids) for b in ids[index + 1 :]]
        lines = [f"{int(a.split('/')[0] == b.split('/')[0])} {a} {b}\n" for a, b in pairs]
        (tmp_path / corpus / ("trials-short.txt" if corpus == "speech" else "trials.txt")).write_text("".join(lines))
    shutil.copytree(tmp_path / "corpus" / "test", tmp_path / "corpus" / "dev")
    shutil.copy(tmp_path / "corpus" / "trials.txt", tmp_path / "corpus" / "calibration.txt")
    recordings = [tmp_path / "speech" / "test-short" / id_ for id_ in ids[:2]]
    folder = tmp_path / "speech" / "test" / "ls01688" / "142285"
    folder.mkdir(parents=True)
    for number, recording in enumerate(recordings, start=1):
        shutil.copy(recording, folder / f"{number:05}.wav")
        shutil.copy(recording, tmp_path / ("one.wav", "other.wav")[number - 1])
    speakers = "".join(f"train{number},English\n" for number in range(5))
    (tmp_path / "speakers.csv").write_text(f"speaker,language\n{speakers}")
    for name in ("musan", "rirs"):
        (tmp_path / "speech" / name).mkdir()
        shutil.copy(recordings[0], tmp_path / "speech" / name / "1.wav")
    backbone = ReDimNetConfig(F=8, C=4, block_1d_type="conv", stages_setup=((1, 1, 1, ((3, 3),), None),))
    with torch.random.fork_rng():
        architecture = describe_architecture(backbone, (64, 128, 192))
        entries = encoder_entries(build_encoder(architecture), architecture)
    torch.save(entries, tmp_path / "model.pt")
    return tmp_path


def made_small(words):
    """Return a command of the guides so that it takes seconds: a short run, and no model to be fetched."""
    if words[0] == "rotate":
        return [*words, "--crop-seconds", "0.3"]
    if words[0] != "train" or "--resume" in words:
        return words
    small = [part for key, value in SMALL_RUN.items() for part in ("--set", f"{key}={value}")]
    start = [] if {"--config", "--init-from"} & set(words) else ["--init-from", "model.pt"]
    return [*words, *small, *start, *([] if "--debug-batches" in words else ["--debug-batches", "1"])]


@pytest.mark.parametrize("guide", GUIDES, ids=lambda path: path.name)
@pytest.mark.usefixtures("workspace")
def test_commands_run_in_the_order_of_the_guide(guide):
    done = []
    for words in typed_commands(guide.read_text()):
        if any(what in " ".join(words) for what in NOT_RUN):
            continue
        result = CliRunner().invoke(app, made_small(words))
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == 0, f"mrlspk {' '.join(words)}\n{result.stderr}"
        done.append(words[0])
    assert {"data", "train", "eval", "compare", "calibrate", "verify", "embed"} <= set(done)


def anchors(document):
    """Return the anchors of a document's headings."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", document.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_link_leads_somewhere(document):
    for target in re.findall(r"\]\(([^)\s]+)\)", FENCE.sub("", document.read_text())):
        if target.startswith(("http://", "https://")):
            continue
        name, _, anchor = target.partition("#")
        path = document.parent / name if name else document
        assert path.exists(), target
        assert not anchor or anchor in anchors(path), target


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_file_of_the_repository_that_is_named_exists(document):
    named = re.findall(r"`((?:configs|scripts|docs|examples|tests)/[\w./-]*)", document.read_text())
    old = {"docs/GPU_REQUIREMENTS.md"}  # of redimnet-mrl, in the migration guide
    assert [name for name in named if name not in old and not (ROOT / name).exists()] == []


def test_index_of_documents_is_whole():
    index = (ROOT / "docs" / "README.md").read_text()
    pages = {path.name for path in (ROOT / "docs").glob("*.md")} - {"README.md"}
    assert [page for page in pages if f"]({page})" not in index] == []


def test_messages_of_the_troubleshooting_table_are_those_of_the_code():
    table = (ROOT / "docs" / "getting-started.md").read_text().partition("## Troubleshooting")[2]
    messages = re.findall(r"^\| `([^`]+)`", table, re.MULTILINE)
    source = "\n".join(path.read_text() for path in (ROOT / "src").rglob("*.py"))
    source = source.replace("{LINE}", "<0|1> <enroll> <test>")
    assert len(messages) > 20
    assert [message for message in messages if message.replace("\\|", "|") not in source] == []

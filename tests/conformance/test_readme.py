"""Run what the README and the first guide show, and follow every link of the documents."""

import hashlib
import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
import typer.main
from typer.testing import CliRunner

from conformance.reference import read_reference, write_published
from mrlspk.cli.app import app
from speaker_graphs import SPEAKER_3D, write_speaker_graph

ROOT = Path(__file__).parents[2]
GUIDES = [ROOT / "README.md", ROOT / "docs" / "getting-started.md"]
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
REFERENCE = "redimnet-b0"  # a small network
PUBLISHED = "redimnet-b2-vox2-ft_lm"
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
    "gpu-profile": "has tests of its own",
    "logging.wandb=true": "needs an account",
}
RUN_AT_LEAST = {
    "README.md": {"embed", "rotate", "verify"},
    "getting-started.md": {"data", "rotate", "eval", "compare", "calibrate", "verify", "embed", "train"},
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


def write_corpus(root, n_speakers, *, rate=16_000, noise=0.05, seed):
    """Write two sessions of two files of half a second for each speaker, a tone in noise, and return their ids."""
    generator, ids = np.random.default_rng(seed), []
    time = np.arange(rate // 2) / rate
    for speaker in range(n_speakers):
        for session in ("a", "b"):
            for number in (1, 2):
                voice = np.sin(2 * np.pi * (120 + 60 * speaker + 5 * number) * time)
                ids.append(f"{root.name}{speaker}/{session}/{number}.wav")
                (root / ids[-1]).parent.mkdir(parents=True, exist_ok=True)
                soundfile.write(root / ids[-1], 0.2 * voice + noise * generator.normal(size=time.size), rate)
    return ids


def write_trials(path, ids):
    """Write a trial list of all pairs of some recordings, whose speaker is the first folder."""
    pairs = [(a, b) for index, a in enumerate(ids) for b in ids[index + 1 :]]
    path.write_text("".join(f"{int(a.split('/')[0] == b.split('/')[0])} {a} {b}\n" for a, b in pairs))


def fetch_in_place_of_published(model, mirror):
    """Fetch a model under the name of the default one from a mirror, as a user would who trusts its SHA-256."""
    mirror.mkdir()
    shutil.copy(model, mirror / f"{PUBLISHED}.pt")
    sha256 = hashlib.sha256(model.read_bytes()).hexdigest()
    result = CliRunner().invoke(app, ["pretrained", "fetch", PUBLISHED, "--sha256", sha256])
    assert result.exit_code == 0, result.stderr


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    """A folder with all that the guides name: corpora, trial lists, recordings, models, a mirror of published ones."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.delenv("MRLSPK_MODEL", raising=False)
    monkeypatch.setenv("MRLSPK_MIRROR", str(tmp_path / "mirror"))
    monkeypatch.setenv("MRLSPK_CACHE_DIR", str(tmp_path / "cache"))
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    for corpus in ("corpus", "speech", "demo-corpus"):
        write_corpus(tmp_path / corpus / "train", 5, seed=0)
        ids = write_corpus(tmp_path / corpus / "test", 2, seed=1)
        write_trials(tmp_path / corpus / "trials.txt", ids)
    write_trials(tmp_path / "corpus" / "calibration.txt", write_corpus(tmp_path / "corpus" / "dev", 2, noise=0, seed=2))
    for names in (("a.wav", "b.wav"), ("one.wav", "other.wav")):
        for name, recording in zip(names, ids, strict=False):
            shutil.copy(tmp_path / "corpus" / "test" / recording, tmp_path / name)
    parties = [soundfile.read(tmp_path / name)[0] for name in ("a.wav", "b.wav")]
    soundfile.write(tmp_path / "call.wav", np.stack(parties, axis=1), 16_000)
    write_published(read_reference(REFERENCE), tmp_path / "model.pt")
    write_speaker_graph(tmp_path / "campplus.onnx", SPEAKER_3D)
    fetch_in_place_of_published(tmp_path / "model.pt", tmp_path / "mirror")
    return tmp_path


def made_small(words):
    """Return a command of the guides so that it takes seconds: a short run, short crops."""
    if words[0] == "rotate":
        return [*words, "--crop-seconds", "0.3"]
    if words[0] != "train":
        return words
    small = [part for key, value in SMALL_RUN.items() for part in ("--set", f"{key}={value}")]
    return [*words, *small, *([] if "--debug-batches" in words else ["--debug-batches", "1"])]


@pytest.mark.slow
@pytest.mark.parametrize("guide", GUIDES, ids=lambda path: path.name)
@pytest.mark.usefixtures("workspace")
def test_code_blocks_of_a_guide_run_in_order(guide):
    done = []
    for kind, body in FENCE.findall(guide.read_text()):
        if kind == "python":
            exec(compile(body, guide.name, "exec"), {})
        for words in typed_commands(f"```{kind}\n{body}```"):
            if any(what in " ".join(words) for what in NOT_RUN):
                continue
            result = CliRunner().invoke(app, made_small(words))
            if result.exception is not None and not isinstance(result.exception, SystemExit):
                raise result.exception
            assert result.exit_code == 0, f"mrlspk {' '.join(words)}\n{result.stderr}"
            done.append(words[0])
    assert set(done) >= RUN_AT_LEAST[guide.name]


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


def test_modules_of_the_architecture_page_have_the_names_it_gives():
    page = (ROOT / "docs" / "architecture.md").read_text()
    named = re.findall(r" (\w[\w/]*\.py) +(\w+)$", page, re.MULTILINE)
    assert len(named) > 20
    for module, name in named:
        source = (ROOT / "src" / "mrlspk" / module).read_text()
        assert re.search(rf"^(def|class) {name}\b", source, re.MULTILINE), f"{module}: {name}"
    for module in re.findall(r"`((?:cli|workflows|training|models|\w+)/[\w/]+\.py|\w+\.py)`", page):
        assert (ROOT / "src" / "mrlspk" / module).exists() or (ROOT / module).exists(), module


def test_messages_of_the_troubleshooting_table_are_those_of_the_code():
    table = (ROOT / "docs" / "getting-started.md").read_text().partition("## Troubleshooting")[2]
    messages = re.findall(r"^\| `([^`]+)`", table, re.MULTILINE)
    source = "\n".join(path.read_text() for path in (ROOT / "src").rglob("*.py"))
    source = source.replace("{LINE}", "<0|1> <enroll> <test>")
    assert len(messages) > 20
    assert [message for message in messages if message.replace("\\|", "|") not in source] == []

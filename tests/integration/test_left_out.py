"""Audio that is left out of a folder is counted and named by every command."""

import pytest

from factories import write_tiny_model


@pytest.fixture
def untidy(tiny_corpus):
    """The tiny corpus with raw samples, a loop, hidden files and audio that has no speaker."""
    root, first = tiny_corpus.root, tiny_corpus.root / tiny_corpus.utterance_ids[0]
    folder = first.parent
    for name in ("a.raw", "b.PCM", "c.vox", "._1.wav", ".hidden.raw"):
        (folder / name).write_bytes(b"\0" * 64)
    (folder / "loop").symlink_to("..")
    (root / "alone.wav").write_bytes(first.read_bytes())
    return root


@pytest.fixture
def model(tmp_path):
    return write_tiny_model(tmp_path / "model.pt", (4, 8))


def reasons(document, root):
    paths = {each["path"].removeprefix(f"{root}/"): each["reason"] for each in document["left_out"]}
    return {path.split("/")[-1]: reason for path, reason in paths.items()}


RAW = {"a.raw": "format", "b.PCM": "format", "c.vox": "format", "loop": "loop"}


def test_embed_counts_and_names_what_it_leaves_out(run, untidy, model, tiny_corpus):
    ids = [each for each in tiny_corpus.utterance_ids if "._" not in each]
    outcome = run("embed", untidy, "--model", model, "--json")
    assert outcome.exit_code == 0
    assert sorted(each["id"] for each in outcome.json["embeddings"]) == ids
    assert reasons(outcome.json, untidy) == RAW
    folder = ids[1].rpartition("/")[0]
    named = f"{folder}/a.raw, {folder}/b.PCM and 1 more"
    assert f"warning: {untidy}: left out 3 files (format not supported): {named}" in outcome.stderr
    assert f"left out 1 link (leads back to a folder that it is in): {folder}/loop" in outcome.stderr


def test_train_counts_and_names_what_it_leaves_out(train, untidy):
    planned = train("--dry-run")
    outcome = train("--set", "training.num_epochs=1")
    assert outcome.exit_code == 0, outcome.stderr
    assert reasons(outcome.json, untidy) == RAW | {"alone.wav": "layout"}
    assert "left out 3 files (format not supported)" in outcome.stderr
    assert "left out 1 file (not speaker/session/file or speaker/file): alone.wav" in outcome.stderr
    assert planned.json["left_out"] == outcome.json["left_out"]


def test_data_check_counts_and_names_what_it_leaves_out(run, untidy):
    outcome = run("data", "check", untidy, "--json")
    assert (outcome.exit_code, outcome.json["ok"]) == (0, True)
    assert reasons(outcome.json, untidy) == RAW | {"alone.wav": "layout"}
    problems = {each["kind"]: each["message"] for each in outcome.json["problems"]}
    assert problems.keys() == {"layout", "format", "loop"}
    assert problems["format"].startswith("left out 3 files (format not supported): ")
    assert problems["layout"] == "expected speaker/session/file or speaker/file: left out 1 file: alone.wav"


def test_folder_with_nothing_but_raw_samples_says_so(run, tmp_path, model):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.raw").write_bytes(b"\0" * 64)
    outcome = run("embed", tmp_path / "in", "--model", model)
    assert outcome.exit_code == 3
    assert "no audio in this folder; left out 1 file (format not supported): a.raw" in outcome.stderr

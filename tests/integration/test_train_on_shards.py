"""Training on shards gives what training on files gives, bit for bit."""

import json

import pytest
import torch

from factories import tiny_config, write_voices
from mrlspk.data.build import build_crops, build_sampler
from mrlspk.data.corpora.recipe_registry import scan_corpus
from mrlspk.data.crops.loader import WatchedLoader
from mrlspk.data.crops.sampler import RankBatches
from mrlspk.workflows.pack_shards import pack_shards

pytestmark = pytest.mark.usefixtures("in_one_thread")

SHUFFLED = {"sampler": "shuffle", "crops_per_epoch": None, "speed_perturbation": [0.9]}


@pytest.fixture
def shards(tiny_corpus, tmp_path):
    """Two shards of the tiny corpus."""
    packed = pack_shards(tiny_corpus.root, tmp_path / "shards", shard_bytes=180_000, jobs=1)
    assert packed.n_shards == 2
    return packed.path


def losses(run_dir):
    lines = map(json.loads, (run_dir / "metrics.jsonl").read_text().splitlines())
    return [(each["event"], each["loss"]) for each in lines if each["event"] == "step"]


def test_run_on_shards_equals_run_on_files(train, shards, checkpoints):
    for name, corpus in (("files", []), ("shards", ["--set", f"data.train_dataset={shards}"])):
        outcome = train(*corpus, "--set", "data.sampler=shuffle", name=name)
        assert outcome.exit_code == 0, outcome.stderr
    one, other = (torch.load(checkpoints / name / "best.pt", weights_only=True) for name in ("files", "shards"))
    assert one["corpus"] == other["corpus"]
    assert all(torch.equal(one["model"][name], other["model"][name]) for name in one["model"] | other["model"])
    assert losses(checkpoints / "files") == losses(checkpoints / "shards") != []


@pytest.mark.parametrize("n_workers", [0, 1, 4])
def test_crops_and_noises_are_those_of_files(tiny_corpus, shards, tmp_path, n_workers):
    write_voices(tmp_path / "noise", 1, seed=1)
    augmented = {
        "musan_dataset": tmp_path / "noise",
        "musan_probability": 0.5,
        "rir_dataset": tmp_path / "noise",
        "rir_probability": 0.5,
        "shuffle_window": 1,
    }

    def loaded(corpus, order_of, n_workers):
        config = tiny_config(corpus, data=SHUFFLED | augmented).data
        crops = build_crops(scan_corpus(corpus), config, seed=3)
        window = build_crops(scan_corpus(order_of), config, seed=3).number_shards()
        batches = RankBatches(build_sampler(crops.classes, config, seed=3, shards=window), batch_size=4)
        loader = WatchedLoader(crops, batches, num_workers=n_workers)
        found = list(loader)
        loader.close()
        return found

    expected, found = loaded(tiny_corpus.root, shards, 0), loaded(shards, shards, n_workers)
    assert len(expected) == len(found) == 8
    for one, other in zip(expected, found, strict=True):
        assert all(torch.equal(*pair) for pair in zip(one, other, strict=True))


def test_window_of_a_run_reads_one_shard_after_the_other(train, shards, monkeypatch):
    from mrlspk.data.crops.dataset import CropDataset

    read, plain = [], CropDataset.__getitem__

    def fetch(self, key):
        read.append((key.epoch, self.source_of(key.index).archive))
        return plain(self, key)

    monkeypatch.setattr(CropDataset, "__getitem__", fetch)
    sets = f"data.train_dataset={shards}", "data.sampler=shuffle", "data.shuffle_window=1", "data.crops_per_epoch=null"
    outcome = train(*(part for each in sets for part in ("--set", each)), name="windowed")
    assert outcome.exit_code == 0, outcome.stderr
    for epoch in range(3):
        archives = [archive for number, archive in read if number == epoch]
        assert len(set(archives)) == 2
        assert sum(a != b for a, b in zip(archives, archives[1:], strict=False)) == 1


def test_window_without_shards_is_an_error(train):
    outcome = train("--set", "data.sampler=shuffle", "--set", "data.shuffle_window=1", name="files")
    assert outcome.exit_code == 3
    assert "expected shards for data.shuffle_window, got files" in outcome.stderr


def test_embed_and_check_take_shards(run, tiny_corpus, shards, tmp_path, single_width):
    made = [
        run("embed", corpus, "--model", single_width, "-o", tmp_path / f"{name}.npz", "--json")
        for name, corpus in (("files", tiny_corpus.root), ("shards", shards))
    ]
    assert [outcome.exit_code for outcome in made] == [0, 0], made[1].stderr
    assert made[0].json["embeddings"] == made[1].json["embeddings"]
    checked = run("data", "check", shards, "--decode", "all", "--against", tiny_corpus.root, "--json")
    assert (checked.json["speakers"], checked.json["utterances"], checked.json["decoded"]) == (4, 16, 16)
    assert {each["kind"] for each in checked.json["problems"] if each["severity"] == "error"} == {"speaker_overlap"}

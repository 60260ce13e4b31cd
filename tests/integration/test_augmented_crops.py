"""Crops with every kind of augmentation, from folders and from packed files, by any number of workers."""

import numpy as np
import pytest
import soundfile
import torch

from mrlspk.config.data import DataConfig
from mrlspk.data.build import build_crops
from mrlspk.data.corpora.recipe_registry import scan_corpus
from mrlspk.data.crops.loader import WatchedLoader
from mrlspk.data.crops.sampler import RankBatches, ShuffleSampler
from noise_recordings import MUSAN, noise, write_tree

PACK = "data", "pack-noise"
EVERYTHING = {
    "chunk_duration": 0.3,
    "noise_probability": 0.5,
    "speed_perturbation": (0.9, 1.1),
    "telephone_probability": 0.3,
    "codec_probability": 0.7,
    "spec_augment_probability": 0.5,
}


@pytest.fixture
def recordings(tmp_path, monkeypatch):
    """A folder with ``musan``, of all categories, and ``rirs``, one of them with two channels."""
    monkeypatch.chdir(tmp_path)
    write_tree(tmp_path / "musan", {path: noise(20_000, seed).numpy() for seed, path in enumerate(MUSAN)})
    decay = np.exp(-np.arange(2_000) / 300)[:, None]
    rooms = np.random.default_rng(0).normal(0, 0.1, (2_000, 2)) * decay
    rooms[100] = 0.9
    write_tree(tmp_path / "rirs", {"simulated_rirs/1.wav": rooms[:, 0], "real/2.wav": rooms})
    return tmp_path


def batches(corpus, *, n_workers, n_crops_done=0, **recordings):
    dataset = build_crops(scan_corpus(corpus), DataConfig(train_dataset=corpus, **EVERYTHING, **recordings), seed=3)
    order = RankBatches(ShuffleSampler(len(dataset), seed=3), batch_size=5)
    order.go_to(1, n_crops_done=n_crops_done)
    loader = WatchedLoader(dataset, order, num_workers=n_workers)
    try:
        return [*loader]
    finally:
        loader.close()


def test_crops_are_the_same_for_any_number_of_workers_and_after_a_resume(run, recordings, tiny_corpus):
    document = run(*PACK, "musan", "-o", "musan.bin", "--json").json
    assert (document["recordings"], document["noises"]) == (3, {"noise": 1, "music": 1, "speech": 1})
    assert document["bytes"] == (recordings / "musan.bin").stat().st_size
    assert run(*PACK, "rirs", "-o", "rirs.bin").exit_code == 0
    packed = {"musan_dataset": recordings / "musan.bin", "rir_dataset": recordings / "rirs.bin"}
    alone = batches(tiny_corpus.root, n_workers=0, **packed)
    by_workers = batches(tiny_corpus.root, n_workers=2, **packed)
    resumed = batches(tiny_corpus.root, n_workers=1, n_crops_done=10, **packed)
    for expected, others in ((alone, by_workers), (alone[2:], resumed)):
        assert len(expected) == len(others) > 2
        for batch, other in zip(expected, others, strict=True):
            assert all(torch.equal(*pair) for pair in zip(batch, other, strict=True))
    from_folders = batches(
        tiny_corpus.root, n_workers=0, musan_dataset=recordings / "musan", rir_dataset=recordings / "rirs"
    )
    assert all(torch.equal(batch[3], other[3]) for batch, other in zip(alone, from_folders, strict=True))  # the draws
    assert all(np.isfinite(batch[0].numpy()).all() for batch in alone)


def test_pack_writes_nothing_if_a_recording_cannot_be_read(run, recordings):
    for name in ("a.wav", "b.wav"):
        (recordings / "musan" / name).write_text("no audio")
    result = run(*PACK, "musan", "-o", "musan.bin")
    assert result.exit_code == 3
    for told in ("2 of 5 recordings cannot be read; nothing is written", "musan/a.wav", "musan/b.wav"):
        assert told in result.stderr
    assert {path.name for path in recordings.iterdir()} == {"musan", "rirs"}


def test_pack_refuses_absent_folders_taken_names_and_doubled_names(run, recordings):
    soundfile.write(recordings / "taken.bin", np.zeros(10), 16_000, format="WAV")
    (recordings / "more").mkdir()
    (recordings / "rirs").rename(recordings / "more/musan")
    (recordings / "more/musan/real/2.wav").rename(recordings / "more/musan" / "2.wav")
    (recordings / "musan" / "2.wav").symlink_to(recordings / "more/musan/2.wav")
    for arguments, code in (
        (("absent", "-o", "new.bin"), 3),
        (("musan", "-o", "taken.bin"), 1),
        (("musan", "more/musan", "-o", "new.bin"), 2),
    ):
        assert run(*PACK, *arguments).exit_code == code, arguments
    assert not (recordings / "new.bin").exists()

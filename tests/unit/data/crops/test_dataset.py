from dataclasses import replace

import numpy as np
import pytest
import soundfile
import torch
from torch.utils.data import DataLoader

from mrlspk.config.data import DataConfig
from mrlspk.data.audio import load_audio, random_crop, repeat_to
from mrlspk.data.audio.source import RangeSource
from mrlspk.data.augmentation.build import build_augmentation
from mrlspk.data.augmentation.noise import GaussianNoise
from mrlspk.data.augmentation.steps import Augmentation
from mrlspk.data.corpora.recipe_registry import scan_corpus
from mrlspk.data.crops.dataset import CropDataset, SampleKey
from mrlspk.data.crops.sampler import ShuffleSampler
from mrlspk.data.manifest import Manifest, Utterance
from mrlspk.errors import DataError


@pytest.fixture
def corpus(tmp_path):
    """Three speakers with two utterances each; every sample says where it was in its file."""
    for number, (speaker, name) in enumerate((s, n) for s in "abc" for n in "12"):
        path = tmp_path / speaker / "session" / f"{name}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, np.arange(4_000 + 1_000 * number) / 32_768, 16_000)
    return scan_corpus(tmp_path)


def places(waveform: torch.Tensor) -> torch.Tensor:
    return (waveform * 32_768).round().long()


def test_crop_is_an_unbroken_part_of_exact_length(corpus):
    dataset = CropDataset(corpus, crop_seconds=0.2, seed=0)
    for index in range(6):
        waveform, speaker_index = dataset[SampleKey(index, 0, 0)]
        assert waveform.shape == (3_200,)
        assert torch.equal(places(waveform).diff(), torch.ones(3_199, dtype=torch.long))
        assert speaker_index == index // 2


def test_short_file_is_repeated_not_padded(corpus):
    waveform, _ = CropDataset(corpus, crop_seconds=0.6, seed=0)[SampleKey(0, 0, 0)]
    assert torch.equal(places(waveform), torch.arange(9_600) % 4_000)
    assert repeat_to(torch.tensor([1.0, 2.0, 3.0]), 7).tolist() == [1, 2, 3, 1, 2, 3, 1]


def test_sample_depends_on_seed_epoch_index_and_repeat_alone(corpus):
    dataset = CropDataset(corpus, crop_seconds=0.1, seed=0, augmentation=Augmentation((GaussianNoise(0.5, (0, 9)),)))
    key = SampleKey(3, 5, 1)
    expected = dataset[key][0]
    for other in (replace(key, epoch=6), replace(key, index=2), replace(key, repeat=0)):
        assert not torch.equal(dataset[other][0], expected)
    assert torch.equal(dataset[key][0], expected)
    assert not torch.equal(CropDataset(corpus, crop_seconds=0.1, seed=1)[key][0], expected)


def test_workers_do_not_change_the_samples(corpus):
    dataset = CropDataset(corpus, crop_seconds=0.1, seed=0)
    sampler = ShuffleSampler(len(dataset), seed=0)
    alone, shared_out = (list(DataLoader(dataset, 2, sampler=sampler, num_workers=n)) for n in (0, 2))
    for (waveforms, classes), (other_waveforms, other_classes) in zip(alone, shared_out, strict=True):
        assert torch.equal(waveforms, other_waveforms)
        assert torch.equal(classes, other_classes)


def test_every_speed_makes_classes_of_its_own(corpus):
    dataset = CropDataset(corpus, crop_seconds=0.2, seed=0, speeds=(1.0, 0.9, 1.1))
    assert (len(dataset), dataset.n_classes) == (18, 9)
    assert dataset.classes.tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8]
    for index, class_ in enumerate(dataset.classes):
        waveform, label = dataset[SampleKey(index, 0, 0)]
        assert waveform.shape == (3_200,)
        assert label == class_
    slow, _ = dataset[SampleKey(6, 0, 0)]
    assert (slow[3_000] - slow[200]).item() * 32_768 / 2_800 == pytest.approx(0.9, abs=0.01)


def test_crop_of_real_m4a_is_a_part_of_the_whole(shared):
    path = next(iter(scan_corpus(shared / "speech/train").only_speakers({"ls01867"}).utterances)).source.path
    part = random_crop(path, 16_000, np.random.default_rng(3))
    windows = load_audio(path).unfold(0, 16_000, 1)
    assert (windows[:, :64] - part[:64]).abs().amax(dim=1).min() < 1e-5


def test_unreadable_file_names_itself(corpus):
    corpus.utterances[0].source.path.write_text("not audio")
    with pytest.raises(DataError, match="1.wav"):
        CropDataset(corpus, crop_seconds=0.2, seed=0)[SampleKey(0, 0, 0)]


def test_every_index_has_the_file_of_its_utterance(corpus):
    dataset = CropDataset(corpus, crop_seconds=0.1, seed=0, speeds=(1.0, 0.9))
    assert dataset.utterance_ids == [each.utterance_id for each in corpus.utterances]
    assert [dataset.source_of(index) for index in range(12)] == [each.source for each in corpus.utterances] * 2


def test_ranges_of_a_recording_are_cut_as_files_are(corpus, tmp_path):
    whole = corpus.utterances[0].source
    ranges = [Utterance(f"x/{n}", "x", "x", RangeSource(whole, n / 16, 1 / 16)) for n in range(3)]
    dataset = CropDataset(Manifest(tmp_path, tuple(ranges)), crop_seconds=0.03, seed=0)
    assert [dataset.source_of(index) for index in range(3)] == [each.source for each in ranges]
    for index in range(3):
        waveform, _ = dataset[SampleKey(index, 0, 0)]
        assert torch.equal(places(waveform).diff(), torch.ones(479, dtype=torch.long))
        assert index * 1_000 <= places(waveform).min() <= places(waveform).max() < (index + 1) * 1_000


def break_files(corpus, *indices):
    for index in indices:
        corpus.utterances[index].source.path.write_text("not audio")


def test_crop_of_an_unreadable_file_is_replaced_by_one_of_its_speaker(corpus):
    break_files(corpus, 2)
    dataset = CropDataset(corpus, crop_seconds=0.2, seed=0, speeds=(1.0, 0.9), max_unreadable=1)
    for index, expected in ((2, 1), (8, 4)):
        waveform, class_ = dataset[SampleKey(index, 0, 0)]
        assert class_ == expected
        assert torch.equal(dataset[SampleKey(index, 0, 0)][0], waveform)
    (found,) = dataset.take_unreadable()
    assert found.utterance_id == "b/session/1.wav"
    assert found.message.startswith(f"{corpus.root}/b/session/1.wav: cannot be decoded as .wav audio")
    assert dataset.take_unreadable() == ()


def test_speaker_without_a_readable_file_is_replaced_by_anyone(corpus):
    break_files(corpus, 2, 3)
    dataset = CropDataset(corpus, crop_seconds=0.2, seed=0, max_unreadable=2)
    classes = {dataset[SampleKey(2, epoch, 0)][1] for epoch in range(20)}
    assert classes == {0, 2}
    assert len(dataset.take_unreadable()) == 2


def test_more_unreadable_files_than_allowed_are_listed(corpus):
    break_files(corpus, *range(6))
    with pytest.raises(DataError, match="4 files cannot be read, expected at most 3") as caught:
        CropDataset(corpus, crop_seconds=0.2, seed=0, max_unreadable=3)[SampleKey(0, 0, 0)]
    assert caught.value.what.count("cannot be decoded as .wav audio") == 4
    with pytest.raises(DataError, match="cannot be decoded"):
        CropDataset(corpus, crop_seconds=0.2, seed=0, max_unreadable=9)[SampleKey(0, 0, 0)]


def test_unreadable_noise_is_no_reason_to_replace_a_file(corpus, tmp_path):
    (tmp_path / "noise").mkdir()
    (tmp_path / "noise" / "noise.wav").write_text("not audio")
    noise = build_augmentation(DataConfig(musan_dataset=tmp_path / "noise", musan_probability=1.0))
    dataset = CropDataset(corpus, crop_seconds=0.2, seed=0, augmentation=noise, max_unreadable=3)
    with pytest.raises(DataError, match=r"noise\.wav"):
        dataset[SampleKey(0, 0, 0)]

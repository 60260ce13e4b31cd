import numpy as np
import pytest
import torch

from mrlspk.data.augmentation.categories import choose_by_shares, musan_category
from mrlspk.data.augmentation.effects import Effects, apply_effects
from mrlspk.data.augmentation.noise import GaussianNoise, RecordedNoise, add_noise
from mrlspk.data.augmentation.recordings import FolderRecordings
from mrlspk.data.augmentation.steps import Augmentation
from noise_recordings import MUSAN, level_db, noise, tone, write_tree

SNRS = {"noise": (12.0, 12.0), "music": (6.0, 6.0), "speech": (15.0, 15.0)}


def measured_snr_db(clean: torch.Tensor, noisy: torch.Tensor) -> float:
    return level_db(clean) - level_db(noisy - clean)


def recorded(root, paths, *, shares=None, talkers=(3, 7), snr_ranges=SNRS):
    recordings = FolderRecordings(root, paths)
    choice = choose_by_shares(recordings.names, musan_category, shares)
    return RecordedNoise(recordings, choice, 1.0, snr_ranges, talkers)


@pytest.mark.parametrize("snr_db", [-5.0, 0.0, 10.0, 30.0])
def test_gaussian_noise_has_the_signal_to_noise_ratio_asked_for(snr_db):
    clean = noise(48_000)
    noisy = Augmentation((GaussianNoise(1.0, (snr_db, snr_db)),))(clean, np.random.default_rng(1))
    assert measured_snr_db(clean, noisy) == pytest.approx(snr_db, abs=0.1)


@pytest.mark.parametrize("n_recorded", [1_000, 100_000])
@pytest.mark.parametrize("path", MUSAN[:2])
def test_recorded_noise_has_the_ratio_of_its_category(tmp_path, n_recorded, path):
    write_tree(tmp_path, {path: noise(n_recorded, seed=2).numpy()})
    clean = noise(48_000)
    noisy = Augmentation((recorded(tmp_path, [path]),))(clean, np.random.default_rng(1))
    assert measured_snr_db(clean, noisy) == pytest.approx(SNRS[path.partition("/")[0]][0], abs=0.1)


def test_each_of_several_talkers_has_the_ratio_asked_for(tmp_path):
    pitches = 300, 500, 800, 1_300
    names = [f"speech/librivox/{hertz}.wav" for hertz in pitches]
    write_tree(tmp_path, {name: tone(hertz, 32_000) for name, hertz in zip(names, pitches, strict=True)})
    clean = noise(16_000)
    added = [
        (Augmentation((recorded(tmp_path, names),))(clean, np.random.default_rng(seed)) - clean).numpy()
        for seed in range(12)
    ]
    powers = [np.abs(np.fft.rfft(each))[list(pitches)] ** 2 / (len(each) ** 2 / 2) for each in added]
    heard = [10 * np.log10(power[power > 1e-6]) - level_db(clean) for power in powers]
    assert {len(levels) for levels in heard} == {3, 4}  # four talkers are fewer than up to seven: some speak twice
    alone = np.concatenate([levels for levels in heard if len(levels) == 3])
    assert alone == pytest.approx(-15.0, abs=0.1)


def test_ratio_is_to_the_speech_alone_whatever_else_is_added():
    speech, first, second = (noise(16_000, seed=seed).numpy() for seed in range(3))
    effects = add_noise(add_noise(Effects(), first, 0.0), second, 10.0)
    added = apply_effects(speech, effects) - speech
    expected = np.std(speech) * (first / np.std(first) + second / np.std(second) / 10**0.5)
    np.testing.assert_allclose(added, expected, atol=1e-3)


def test_silence_has_no_ratio_and_stays():
    silence, loud = np.zeros(100, np.float32), noise(100).numpy()
    assert np.array_equal(apply_effects(silence, add_noise(Effects(), loud, 10.0)), silence)
    assert add_noise(Effects(), silence, 10.0) == Effects()


def test_categories_are_drawn_by_their_shares(tmp_path):
    recordings = FolderRecordings(tmp_path / "musan", [*MUSAN, "music/fma/music-fma-0001.wav"])
    choice = choose_by_shares(recordings.names, musan_category, {"noise": 1.0, "music": 3.0, "speech": 0.0})
    rng = np.random.default_rng(0)
    drawn = [choice.draw(rng) for _ in range(4_000)]
    assert {category for category, _ in drawn} == {"noise", "music"}
    assert np.mean([category == "music" for category, _ in drawn]) == pytest.approx(0.75, abs=0.03)
    assert np.mean([index == 3 for category, index in drawn if category == "music"]) == pytest.approx(0.5, abs=0.04)


@pytest.mark.parametrize(
    ("name", "category"),
    [
        ("musan/music/fma/music-fma-0000.wav", "music"),
        ("corpora/musan/speech/librivox/speech-librivox-0000.wav", "speech"),
        ("speech/musan/noise/free-sound/noise-free-sound-0001.wav", "noise"),  # MUSAN in a folder called speech
        ("speech/librivox/speech-librivox-0000.wav", "speech"),  # the folder itself
        ("kitchen/sink.wav", "noise"),
        ("kitchen/music", "noise"),  # a file is no folder
    ],
)
def test_category_of_a_recording_follows_its_folder(name, category):
    assert musan_category(name) == category

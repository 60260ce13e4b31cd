import numpy as np
import pytest
import torch
import torchaudio

from mrlspk.inference.speaker_models.front_ends import (
    KaldiFbank,
    NemoMel,
    Waveform,
    build_front_end,
    samples_for,
    slaney_filters,
)


@pytest.fixture(scope="module")
def noise():
    return np.random.default_rng(0).normal(0, 0.1, 16_037).astype(np.float32)


@pytest.mark.parametrize("window", ["hamming", "povey"])
@pytest.mark.parametrize("scale", [1, 32768])
def test_filter_banks_equal_torchaudio(noise, window, scale):
    features = build_front_end(KaldiFbank(window=window, sample_scale=scale, mean="none"), 16_000)(noise)
    expected = torchaudio.compliance.kaldi.fbank(
        torch.from_numpy(noise[None] * scale), num_mel_bins=80, window_type=window, dither=0.0
    ).numpy()
    np.testing.assert_allclose(features, expected, atol=2e-3)


def test_edges_of_the_filters_equal_torchaudio(noise):
    features = build_front_end(KaldiFbank(low_hz=100, high_hz=7600, mean="none", snip_edges=False), 16_000)(noise)
    expected = torchaudio.compliance.kaldi.fbank(
        torch.from_numpy(noise[None]), num_mel_bins=80, dither=0.0, low_freq=100.0, high_freq=7600.0, snip_edges=False
    ).numpy()
    np.testing.assert_allclose(features, expected, atol=2e-3)


def test_mean_of_the_utterance_is_taken_away(noise):
    plain = build_front_end(KaldiFbank(mean="none"), 16_000)(noise)
    features = build_front_end(KaldiFbank(), 16_000)(noise)
    np.testing.assert_allclose(features, plain - plain.mean(0), atol=1e-5)


def test_filter_banks_are_equal_each_time(noise):
    compute = build_front_end(KaldiFbank(), 16_000)
    np.testing.assert_array_equal(compute(noise), compute(noise))


def nemo_reference(noise, normalise):
    """Return what NeMo's FilterbankFeatures computes outside training, from its source, in torch."""
    signal = torch.from_numpy(noise).double()
    emphasised = torch.cat([signal[:1], signal[1:] - 0.97 * signal[:-1]])
    window = torch.hann_window(400, periodic=False, dtype=torch.float64)
    spectrum = torch.stft(emphasised, 512, 160, 400, window, pad_mode="constant", return_complex=True)
    filters = torchaudio.functional.melscale_fbanks(257, 0.0, 8000.0, 80, 16_000, "slaney", "slaney").double()
    mel = torch.log(filters.T @ spectrum.abs() ** 2 + 2**-24).T
    return ((mel - mel.mean(0)) / (mel.std(0) + 1e-5) if normalise else mel).numpy()


@pytest.mark.parametrize("normalise", ["per_feature", "none"])
@pytest.mark.parametrize("n_samples", [16_037, 16_000, 800])
def test_nemo_features_equal_the_source_of_nemo(noise, normalise, n_samples):
    features = build_front_end(NemoMel(normalise=normalise), 16_000)(noise[:n_samples])
    expected = nemo_reference(noise[:n_samples], normalise == "per_feature")
    assert features.shape == expected.shape == (n_samples // 160 + 1, 80)
    np.testing.assert_allclose(features, expected, atol=2e-4)


def test_slaney_filters_equal_torchaudio():
    expected = torchaudio.functional.melscale_fbanks(257, 0.0, 8000.0, 64, 16_000, "slaney", "slaney").numpy().T
    np.testing.assert_allclose(slaney_filters(64, 512, 16_000), expected, atol=1e-7)


@pytest.mark.parametrize("front_end", [KaldiFbank(), NemoMel()])
@pytest.mark.parametrize("n_frames", [3, 10, 57])
def test_samples_for_frames_are_the_fewest(noise, front_end, n_frames):
    compute, n_samples = build_front_end(front_end, 16_000), samples_for(front_end, n_frames, 16_000)
    assert len(compute(noise[:n_samples])) == n_frames
    assert len(compute(noise[: n_samples - 1])) == n_frames - 1


def test_waveform_is_scaled(noise):
    np.testing.assert_array_equal(build_front_end(Waveform(sample_scale=32768), 16_000)(noise), noise * 32768)

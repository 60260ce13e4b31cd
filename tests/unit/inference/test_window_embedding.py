from contextlib import closing

import numpy as np
import pytest

from mrlspk.errors import DataError
from mrlspk.inference.decoding import decoded_samples
from mrlspk.inference.window_embedding import embed_windows, unit_mean
from mrlspk.inference.windows import keep_speech
from mrlspk.inference.workers import Workers

RATE = 10  # Hz


def embed_in_windows(samples, embed, *, max_seconds, mean, on_part=lambda _: None):
    decoded = decoded_samples(np.array(samples, np.float32), "a", sample_rate=RATE, speech=None)
    windows = keep_speech(decoded, min_samples=4).cut(max_seconds=max_seconds, min_samples=4)
    with closing(Workers(decoders=1, embedders=2)) as workers:
        return embed_windows(embed, windows, workers, mean=mean, on_part=on_part)


def test_loud_window_weighs_no_more_than_others():
    assert unit_mean([np.array([30.0, 40.0]), np.array([0.0, 1.0])], "a").tolist() == pytest.approx([0.3, 0.9])


@pytest.mark.parametrize("vector", [[0.0, 0.0], [np.nan, 1.0]])
def test_window_without_a_direction_is_an_error(vector):
    with pytest.raises(DataError, match="its embedding is"):
        unit_mean([np.array([1.0, 1.0]), np.array(vector)], "a.wav")


def test_windows_are_embedded_singly_and_averaged_in_order():
    shapes, parts = [], []

    def embed(waveforms):
        shapes.append(waveforms.shape)
        return waveforms[:, [0, -1]] + 1

    embedded = embed_in_windows(
        [0, 0, 0, 0, 0, 0, -9, 1, 0, 0, 0],
        embed,
        max_seconds=0.5,
        mean=lambda vectors, _: np.stack(vectors),
        on_part=parts.append,
    )
    assert embedded.vector.tolist() == [[1, 1], [1, 1], [-8, 1]]
    assert shapes == [(1, 3)] * 3
    assert parts == pytest.approx([0, 1 / 3, 2 / 3])


def test_single_window_keeps_the_vector_of_the_model():
    def refuse(*_):
        raise AssertionError("averaged")

    embedded = embed_in_windows([0.5] * 20, lambda each: 7 * each[:, :2], max_seconds=60, mean=refuse)
    assert embedded.vector.tolist() == [3.5, 3.5]


@pytest.mark.parametrize(("peak", "warnings"), [(0.0051, ()), (1.1e-4, ("quiet",)), (0.9e-4, ("silent",))])
def test_peak_is_that_of_all_windows(peak, warnings):
    samples = np.zeros(40, np.float32)
    samples[5] = -peak
    embedded = embed_in_windows(samples, lambda each: each[:, :2], max_seconds=2.0, mean=lambda rows, _: rows[0])
    assert embedded.warnings == warnings

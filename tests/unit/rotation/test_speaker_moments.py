import numpy as np
import pytest

from mrlspk.rotation import speaker_moments
from mrlspk.rotation.speaker_moments import SpeakerVectors, sum_scatter, sum_speakers


@pytest.fixture
def vectors():
    rng = np.random.default_rng(0)
    return rng.normal(size=(230, 6)).astype(np.float32), rng.integers(9, size=230)


def nothing(_block):
    """Leave a block as it is."""


def check_sums(vectors, labels):
    sums, products = sum_speakers(SpeakerVectors(vectors, labels), nothing)
    expected = vectors.astype(np.float64)
    by_speaker = [expected[labels == each] for each in np.unique(labels)]
    assert sums == pytest.approx(np.stack([each.sum(0) for each in by_speaker]), abs=1e-5)
    assert products == pytest.approx(expected.T @ expected, abs=1e-4)
    weights = np.arange(1.0, len(by_speaker) + 1) / np.arange(1, len(by_speaker) + 1).sum()
    scatter = sum_scatter(SpeakerVectors(vectors, labels), weights, nothing)
    means = np.stack([each.mean(0) for each in by_speaker])
    assert scatter.mean == pytest.approx(weights @ means, abs=1e-6)
    within = np.average([np.cov(each.T, bias=True) for each in by_speaker], axis=0, weights=weights)
    assert scatter.within == pytest.approx(within, abs=1e-5)
    shifted = [(each - 0.5).T @ (each - 0.5) / len(each) for each in by_speaker]
    assert scatter.moment_about(np.full(6, 0.5)) == pytest.approx(
        np.average(shifted, axis=0, weights=weights), abs=1e-5
    )


@pytest.mark.parametrize("rows", [1, 7, 64, 1000])
def test_blocks_of_any_size_have_the_same_sums(monkeypatch, vectors, rows):
    monkeypatch.setattr(speaker_moments, "BLOCK_VALUES", 6 * rows)
    check_sums(*vectors)
    check_sums(vectors[0], np.sort(vectors[1]))


def test_labels_may_be_any_integers(vectors):
    check_sums(vectors[0], 70 - 13 * vectors[1])


def test_vectors_on_disk_and_in_float64_are_read_alike(tmp_path, vectors):
    values, labels = vectors
    np.save(tmp_path / "vectors.npy", values)
    mapped = np.load(tmp_path / "vectors.npy", mmap_mode="r")
    sums = [sum_speakers(SpeakerVectors(each, labels), nothing) for each in (values, mapped, values.astype(np.float64))]
    assert all(np.array_equal(sums[0][1], each[1]) for each in sums[1:])


def test_given_vectors_are_never_changed(vectors):
    def spoil(block):
        block.rows[:] = 9

    for labels in (vectors[1], np.sort(vectors[1])):
        before = vectors[0].copy()
        sum_speakers(SpeakerVectors(vectors[0], labels), spoil)
        assert np.array_equal(vectors[0], before)


def test_sums_do_not_depend_on_threads(monkeypatch, vectors):
    monkeypatch.setattr(speaker_moments, "BLOCK_VALUES", 60)
    found = []
    for threads in (1, 5):
        monkeypatch.setattr(speaker_moments, "usable_processors", lambda threads=threads: threads)
        found.append(sum_speakers(SpeakerVectors(*vectors), nothing))
    assert all(np.array_equal(one, other) for one, other in zip(*found, strict=True))


def test_sums_over_many_blocks_are_in_float64(monkeypatch):
    # 1 + 2^-24 is not a float32: such sums of 2,000 blocks would stay at the first values.
    monkeypatch.setattr(speaker_moments, "BLOCK_VALUES", 1)
    values = np.full((2000, 1), 2.0**-13, np.float32)
    values[0] = 1
    _, products = sum_speakers(SpeakerVectors(values, np.zeros(2000, int)), nothing)
    assert products.item() == 1 + 1999 * 2.0**-26


@pytest.mark.parametrize(("shape", "n_labels"), [((3, 2), 2), ((0, 2), 0), ((4,), 4)])
def test_arrays_that_do_not_match_are_refused(shape, n_labels):
    with pytest.raises(ValueError, match="expected"):
        SpeakerVectors(np.ones(shape, np.float32), np.zeros(n_labels, int))

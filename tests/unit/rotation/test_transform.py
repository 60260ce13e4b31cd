import numpy as np
import pytest

from mrlspk.rotation.closed_form import fit_rotation
from mrlspk.rotation.transform import FLOOR, ORDERS, fit_transform

BEST = {"centre": True, "flatten": 0.2, "order": "scatter"}


@pytest.fixture
def speech():
    """Vectors of 24 values about a mean: 40 speakers with 2 to 30 vectors each, as (n, 24) and (n,)."""
    rng = np.random.default_rng(0)
    speaker_index = np.repeat(np.arange(40), rng.integers(2, 31, size=40))
    mix = rng.normal(size=(24, 24))
    voices = rng.normal(size=(40, 24)) * np.linspace(2, 0.2, 24)
    vectors = (voices[speaker_index] + rng.normal(size=(len(speaker_index), 24)) + 0.7) @ mix
    shuffled = rng.permutation(len(vectors))
    return vectors[shuffled].astype(np.float32), speaker_index[shuffled]


def unit(values):
    return values / np.linalg.norm(values, axis=1, keepdims=True)


def by_speaker(values, speaker_index):
    return [values[speaker_index == speaker] for speaker in np.unique(speaker_index)]


def plainly(vectors, speaker_index, *, centre, flatten, order, weights=None):
    """Return mean and map of the definition, one speaker at a time in float64; ``weights`` are of the speakers."""
    directions = unit(vectors.astype(np.float64))
    weights = np.sqrt(np.bincount(speaker_index)) if weights is None else weights

    def scatter(values):
        voices = by_speaker(values, speaker_index)
        between = np.average([np.outer(each.mean(0), each.mean(0)) for each in voices], axis=0, weights=weights)
        within = np.average([np.cov(each.T, bias=True) for each in voices], axis=0, weights=weights)
        return between, within

    means = [each.mean(0) for each in by_speaker(directions, speaker_index)]
    mean = np.average(means, axis=0, weights=weights) if centre else np.zeros(24)
    values, basis = np.linalg.eigh(scatter(directions)[1])
    flattening = basis @ np.diag(np.maximum(values, FLOOR * values.mean()) ** -flatten) @ basis.T
    flattened = (directions - mean) @ flattening
    between, within = scatter(flattened if order == "energy" else unit(flattened))
    return mean, np.linalg.eigh(between + (within if order == "energy" else -within))[1][:, ::-1].T @ flattening


def check_transform(transform, mean, matrix):
    assert transform.mean == pytest.approx(mean, abs=1e-6)
    found = transform.matrix * transform.scales[:, None]
    matrix = matrix * np.linalg.norm(found) / np.linalg.norm(matrix)
    assert np.abs(found) == pytest.approx(np.abs(matrix), abs=5e-4)
    assert (np.einsum("ij,ij->i", found, matrix) ** 2) == pytest.approx((matrix**2).sum(1) ** 2, rel=2e-3)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("flatten", [0.0, 0.2, 0.5])
@pytest.mark.parametrize("centre", [True, False])
def test_transform_matches_its_definition(speech, centre, flatten, order):
    options = {"centre": centre, "flatten": flatten, "order": order}
    transform = fit_transform(*speech, **options)
    check_transform(transform, *plainly(*speech, **options))


@pytest.mark.parametrize("order", ORDERS)
def test_each_corpus_counts_once(speech, order):
    options = {"centre": True, "flatten": 0.25, "order": order}
    of_speaker = np.where(np.arange(40) < 6, 8, -3)
    transform = fit_transform(*speech, **options, corpus_index=of_speaker[speech[1]])
    weights = np.where(np.arange(40) < 6, 1 / 12, 1 / 68)
    check_transform(transform, *plainly(*speech, **options, weights=weights))


def test_rows_have_unit_length_and_scales_the_norm_of_a_rotation(speech):
    transform = fit_transform(*speech, **BEST, dims=(8, 4))
    assert np.linalg.norm(transform.matrix, axis=1) == pytest.approx(np.ones(24))
    assert (transform.scales**2).mean() == pytest.approx(1)
    assert transform.dims == (4, 8, 24)
    assert transform.summary() == {"centred": True, "flatten": 0.2, "order": "scatter"}


@pytest.mark.parametrize("order", ORDERS)
def test_transform_without_mean_and_power_keeps_cosines(speech, order):
    transform = fit_transform(*speech, centre=False, flatten=0.0, order=order)
    few = speech[0][:50]
    before, after = unit(few.astype(np.float64)), unit(transform.apply(few).astype(np.float64))
    assert after @ after.T == pytest.approx(before @ before.T, abs=1e-6)


def test_order_by_energy_alone_is_the_rotation_svd_of_balanced_speech(speech):
    order = np.argsort(speech[1], kind="stable")
    first = np.concatenate([order[speech[1][order] == speaker][:2] for speaker in range(40)])
    balanced = speech[0][first], speech[1][first]
    transform = fit_transform(*balanced, centre=False, flatten=0.0, order="energy")
    assert transform.matrix == pytest.approx(fit_rotation(*balanced, method="svd").matrix, abs=1e-4)


@pytest.mark.parametrize("dim", [1, 4])
def test_equal_vectors_of_each_speaker_cannot_be_flattened(dim):
    vectors = np.random.default_rng(0).uniform(1, 2, size=(5, dim)).astype(np.float32).repeat(3, axis=0)
    labels = np.arange(5).repeat(3)
    with pytest.raises(ValueError, match="flattening needs vectors that differ within speakers"):
        fit_transform(vectors, labels, centre=True, flatten=0.2, order="energy")
    assert np.isfinite(fit_transform(vectors, labels, centre=True, flatten=0.0, order="energy").matrix).all()


def test_lengths_of_vectors_do_not_matter(speech):
    vectors, speaker_index = speech
    lengths = np.random.default_rng(1).uniform(0.1, 9, size=(len(vectors), 1)).astype(np.float32)
    first, again = (fit_transform(each, speaker_index, **BEST) for each in (vectors, vectors * lengths))
    assert first.matrix == pytest.approx(again.matrix, abs=1e-4)
    assert first.apply(vectors) == pytest.approx(again.apply(vectors * lengths), abs=1e-4)


def test_lengths_stay_where_vectors_are_not_brought_to_unit_length(speech):
    vectors, speaker_index = speech
    transform = fit_transform(vectors, speaker_index, **BEST, unit_length=False)
    means = [each.mean(0) for each in by_speaker(vectors.astype(np.float64), speaker_index)]
    weights = np.sqrt(np.bincount(speaker_index))
    assert transform.mean == pytest.approx(np.average(means, axis=0, weights=weights), abs=1e-4)


@pytest.mark.parametrize("order", ORDERS)
def test_speakers_count_by_the_root_of_their_vectors(order):
    # Nine vectors of one speaker along the first axis and one of another along the second.
    vectors = np.eye(3, dtype=np.float32)[[0] * 9 + [1]]
    transform = fit_transform(vectors, np.array([5] * 9 + [3]), centre=True, flatten=0.0, order=order)
    assert transform.mean.tolist() == pytest.approx([0.75, 0.25, 0])
    assert np.abs(transform.matrix[0]) == pytest.approx([0.5**0.5, 0.5**0.5, 0], abs=1e-6)


@pytest.mark.parametrize("order", ORDERS)
def test_unused_directions_come_last_and_are_not_amplified(speech, order):
    vectors, speaker_index = speech
    wide = np.concatenate([vectors, 1e-6 * np.random.default_rng(2).normal(size=vectors.shape)], axis=1)
    wide = wide.astype(np.float32)
    transform = fit_transform(wide, speaker_index, centre=True, flatten=0.5, order=order)
    assert np.isfinite(transform.matrix).all()
    energy = (transform.apply(wide) ** 2).mean(0)
    assert energy[24:].max() < 1e-6 * energy[:24].min()


@pytest.mark.parametrize(
    ("vectors", "speakers", "options", "message"),
    [
        (np.eye(3), [0, 1], {}, "expected"),
        (np.diag([1.0, 0.0]), [0, 0], {"order": "energy", "flatten": 0.0}, "zero or not finite"),
        (np.diag([1.0, np.nan]), [0, 0], {"order": "energy", "flatten": 0.0}, "zero or not finite"),
        (np.eye(2), [0, 0], {}, "two speakers, one of them with two"),
        (np.eye(2), [0, 1], {}, "two speakers, one of them with two"),
        (np.eye(2), [0, 1], {"order": "energy"}, "two speakers, one of them with two"),
        (np.eye(3), [0, 1, 1], {"corpus_index": np.array([0, 0, 1])}, "a speaker is in two corpora"),
        (np.eye(3), [0, 1, 1], {"corpus_index": np.array([0, 0])}, "a corpus of each vector"),
        (np.eye(3), [0, 1, 1], {"flatten": 0.6}, "a power from 0 to 0.5"),
        (np.eye(3), [0, 1, 1], {"flatten": float("nan")}, "a power from 0 to 0.5"),
        (np.eye(3), [0, 1, 1], {"order": "size"}, "an order of"),
    ],
)
def test_unusable_input_is_refused(vectors, speakers, options, message):
    with pytest.raises(ValueError, match=message):
        fit_transform(vectors, np.array(speakers), **(BEST | options))

import json
from pathlib import Path

import numpy as np
import pytest
import scipy.linalg
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from mrlspk.errors import CheckpointError
from mrlspk.rotation.closed_form import METHODS, WITH_PARAMETER, fit_rotation, read_rotation, spectrum_of

ALL = [(method, 0.5 if method in WITH_PARAMETER else None) for method in METHODS]


@pytest.fixture
def speech():
    """600 embeddings of 30 speakers in 12 values, of any length, about a mean that is not zero."""
    rng = np.random.default_rng(0)
    speaker_index = np.repeat(np.arange(30), 20)
    mix = rng.normal(size=(12, 12))
    voices = rng.normal(size=(30, 12)) * np.linspace(2, 0.2, 12)
    return (voices[speaker_index] + rng.normal(size=(600, 12)) + 0.5) @ mix, speaker_index


def unit(values):
    return values / np.linalg.norm(values, axis=1, keepdims=True)


def span(rows):
    """Return the projection onto what rows span: the same for bases of one subspace."""
    basis = np.linalg.qr(rows.T)[0]
    return basis @ basis.T


@pytest.mark.parametrize(("method", "parameter"), ALL)
def test_rotation_is_orthogonal_and_keeps_all_cosines(speech, method, parameter):
    embeddings, speaker_index = speech
    matrix = fit_rotation(embeddings, speaker_index, method=method, parameter=parameter).matrix
    assert np.abs(matrix @ matrix.T - np.eye(12)).max() < 1e-10
    before, after = unit(embeddings), unit(embeddings @ matrix.T)
    assert np.abs(before @ before.T - after @ after.T).max() < 1e-12


@pytest.mark.parametrize(("method", "parameter"), ALL)
def test_rotation_ignores_lengths_and_labels_of_speakers(speech, method, parameter):
    embeddings, speaker_index = speech
    first = fit_rotation(embeddings, speaker_index, method=method, parameter=parameter).matrix
    lengths = np.random.default_rng(1).uniform(0.1, 9, size=(600, 1))
    again = fit_rotation(lengths * embeddings, 100 - 3 * speaker_index, method=method, parameter=parameter).matrix
    assert first == pytest.approx(again, abs=1e-8)
    largest = np.abs(first).argmax(axis=1)
    assert (first[np.arange(12), largest] > 0).all()


def test_svd_puts_the_direction_of_most_energy_first():
    # Unit vectors (0, 1) twice and (1, 0) once: the moment is diag(1/3, 2/3).
    rotation = fit_rotation(np.array([[0.0, 2.0], [0.0, -5.0], [3.0, 0.0]]), np.zeros(3, dtype=int), method="svd")
    assert rotation.matrix.tolist() == [[0, 1], [1, 0]]
    assert rotation.spectrum.tolist() == pytest.approx([2 / 3, 1 / 3])


def test_class_svd_counts_every_speaker_once():
    # Speaker 0 has three files along (1, 0, 0); speakers 1 and 2 have one each along (0, 1, 0).
    embeddings = np.eye(3)[[0, 0, 0, 1, 1]]
    matrix = fit_rotation(embeddings, np.array([0, 0, 0, 1, 2]), method="class_svd").matrix
    assert matrix.tolist() == [[0, 1, 0], [1, 0, 0], [0, 0, 1]]
    assert fit_rotation(embeddings, np.zeros(5, dtype=int), method="svd").matrix[0].tolist() == [1, 0, 0]


def test_between_within_puts_within_speaker_variation_last():
    # Speaker means 0.6 e1 and 0.6 e2; the third value is +-0.8 within each: more energy, and no speaker in it.
    embeddings = np.array([[0.6, 0, 0.8], [0.6, 0, -0.8], [0, 0.6, 0.8], [0, 0.6, -0.8]])
    speaker_index = np.array([0, 0, 1, 1])
    assert np.abs(fit_rotation(embeddings, speaker_index, method="svd").matrix[0]).tolist() == pytest.approx([0, 0, 1])
    rotation = fit_rotation(embeddings, speaker_index, method="between_within", parameter=0.5)
    assert np.abs(rotation.matrix[-1]).tolist() == pytest.approx([0, 0, 1])
    assert rotation.spectrum.tolist() == pytest.approx([0.18, 0.18, 0.64])  # not falling: importance is not energy


def test_between_within_matches_scipy(speech):
    embeddings, speaker_index = speech
    directions = unit(embeddings)
    means = np.stack([directions[speaker_index == speaker].mean(0) for speaker in range(30)])
    within = np.cov((directions - means[speaker_index]).T, bias=True)
    values, vectors = scipy.linalg.eigh(means.T @ means / 30 - 0.25 * within)
    matrix = fit_rotation(embeddings, speaker_index, method="between_within", parameter=0.25).matrix
    assert np.abs(np.diag(matrix @ vectors[:, ::-1])) == pytest.approx(np.ones(12), abs=1e-9)
    assert (np.diff(values[::-1]) < 0).all()


@pytest.mark.parametrize("shrinkage", [1.0, 4.0])
def test_lda_qr_prefixes_span_the_directions_of_scipy(speech, shrinkage):
    embeddings, speaker_index = speech
    directions = unit(embeddings)
    means = np.stack([directions[speaker_index == speaker].mean(0) for speaker in range(30)])
    within = np.cov((directions - means[speaker_index]).T, bias=True)
    noise = within + shrinkage * np.trace(within) / 12 * np.eye(12)
    leading = scipy.linalg.eigh(means.T @ means / 30, noise)[1][:, ::-1].T
    matrix = fit_rotation(embeddings, speaker_index, method="lda_qr", parameter=shrinkage).matrix
    for dim in (1, 2, 5, 11):
        assert span(matrix[:dim]) == pytest.approx(span(leading[:dim]), abs=1e-8)


def test_lda_qr_without_shrinkage_matches_scikit_learn(speech):
    embeddings, speaker_index = speech
    both = np.concatenate([embeddings, -embeddings])  # each speaker and the opposite one: the mean of all is zero
    labels = np.concatenate([speaker_index, speaker_index + 30])
    lda = LinearDiscriminantAnalysis(solver="eigen").fit(unit(both), labels)
    matrix = fit_rotation(both, labels, method="lda_qr", parameter=0.0).matrix
    for dim in (1, 4, 9):
        assert span(matrix[:dim]) == pytest.approx(span(lda.scalings_[:, :dim].T), abs=1e-7)


def test_few_speakers_leave_the_rest_in_order_of_energy(speech):
    embeddings, speaker_index = speech
    few = speaker_index < 3
    rotation = fit_rotation(embeddings[few], speaker_index[few], method="class_svd")
    assert (np.diff(rotation.spectrum[3:]) < 0).all()


def test_spectrum_is_the_energy_share_of_each_value():
    assert spectrum_of(np.array([[3.0, 4.0], [0.0, 9.0]]), np.eye(2)).tolist() == pytest.approx([0.18, 0.82])


@pytest.mark.parametrize(
    ("embeddings", "speakers", "options", "message"),
    [
        (np.eye(3), [0, 1], {"method": "svd"}, "expected"),
        (np.zeros((0, 3)), [], {"method": "svd"}, "expected"),
        (np.diag([1.0, 0.0]), [0, 1], {"method": "svd"}, "zero or not finite"),
        (np.diag([1.0, np.nan]), [0, 1], {"method": "svd"}, "zero or not finite"),
        (np.eye(2), [0, 1], {"method": "svd", "parameter": 1.0}, "does not take the parameter"),
        (np.eye(2), [0, 1], {"method": "lda_qr"}, "does not take the parameter"),
        (np.eye(2), [0, 1], {"method": "lda_qr", "parameter": -1.0}, "does not take the parameter"),
        (np.eye(2), [0, 1], {"method": "lda_qr", "parameter": 1.0}, "two speakers, one of them with two"),
        (np.eye(2), [0, 0], {"method": "between_within", "parameter": 1.0}, "two speakers, one of them with two"),
    ],
)
def test_unusable_input_raises(embeddings, speakers, options, message):
    with pytest.raises(ValueError, match=message):
        fit_rotation(embeddings, np.array(speakers, dtype=int), **options)


@pytest.mark.parametrize(("method", "parameter"), ALL)
def test_entry_survives_json(speech, method, parameter):
    rotation = fit_rotation(*speech, method=method, parameter=parameter)
    again = read_rotation(json.loads(json.dumps(rotation.entry())), Path("model.pt"))
    assert (again.method, again.parameter) == (method, parameter)
    assert np.array_equal(again.matrix, rotation.matrix)
    assert np.array_equal(again.spectrum, rotation.spectrum)


@pytest.mark.parametrize(
    "change",
    [
        {"method": "pca"},
        {"parameter": 1.0},
        {"parameter": "1"},
        {"matrix": [[1.0, 0.0]]},
        {"matrix": [[1.0, 0.0], [0.0]]},
        {"matrix": [["1", "0"], ["0", "1"]]},
        {"matrix": [[1.0, 0.0], [0.0, 1.1]]},
        {"matrix": [[1.0, 0.0], [0.0, float("nan")]]},
        {"matrix": None},
        {"spectrum": [1.0]},
        {"spectrum": [1.0, -0.5]},
    ],
)
def test_damaged_entry_raises(change):
    entry = fit_rotation(np.eye(2), np.arange(2), method="svd").entry()
    assert read_rotation(entry | {"choice": []}, Path("model.pt")).method == "svd"
    with pytest.raises(CheckpointError, match=r"model\.pt: its rotation is damaged"):
        read_rotation(entry | change, Path("model.pt"))
    with pytest.raises(CheckpointError):
        read_rotation([1], Path("model.pt"))

import numpy as np
import pytest

from mrlspk.data.trials import Trials
from mrlspk.errors import DataError
from mrlspk.metrics.eer import equal_error_rate
from mrlspk.rotation.closed_form import fit_rotation
from mrlspk.rotation.selection import (
    TIE,
    EmbeddedTrials,
    Fold,
    RotationCandidates,
    SpeakerEmbeddings,
    choice_widths,
    cross_validate_rotation,
    select_rotation,
)


def voices(n_speakers, *, seed, noise=1.0, first=0):
    """Eight files of each speaker, 32 values: the last eight tell speakers apart, the others are noise of the file."""
    rng = np.random.default_rng(seed)
    speaker_index = np.repeat(np.arange(first, first + n_speakers), 8)
    embeddings = noise * rng.normal(size=(len(speaker_index), 32))
    embeddings[:, 24:] = rng.normal(size=(n_speakers, 8)).repeat(8, axis=0) + 0.2 * rng.normal(size=(8 * n_speakers, 8))
    return SpeakerEmbeddings(embeddings, speaker_index)


def all_trials(vectors):
    enroll, test = np.triu_indices(len(vectors.embeddings), 1)
    return EmbeddedTrials(
        vectors.embeddings, enroll, test, vectors.speaker_index[enroll] == vectors.speaker_index[test]
    )


def test_candidates_are_all_methods_with_all_parameters_in_order():
    assert RotationCandidates().listed() == [
        ("svd", None), ("class_svd", None), ("between_within", 0.25), ("between_within", 0.5),
        ("lda_qr", 1.0), ("lda_qr", 4.0), ("none", None),
    ]  # fmt: skip
    assert RotationCandidates(("lda_qr",), lda_shrinkages=(2.0,)).listed() == [("lda_qr", 2.0)]


@pytest.mark.parametrize(
    ("embed_dim", "widths"), [(256, (16, 32, 64)), (64, (16, 32)), (65, (16, 32, 64)), (16, (8,)), (8, (4,)), (1, (1,))]
)
def test_selection_uses_small_widths_of_the_model(embed_dim, widths):
    assert choice_widths(embed_dim) == widths


def test_supervised_method_wins_if_noise_is_louder_than_speakers():
    fit, held_out = voices(30, seed=0, noise=3.0), voices(12, seed=1, noise=3.0)
    choice = select_rotation(fit, all_trials(held_out))
    by_name = {(result.method, result.parameter): result for result in choice.results}
    best = min(choice.results, key=lambda result: result.mean_log_eer)
    assert (choice.rotation.method, choice.rotation.parameter) in {
        key for key, result in by_name.items() if result.mean_log_eer <= best.mean_log_eer + TIE
    }
    assert choice.rotation.method in {"class_svd", "between_within", "lda_qr"}
    assert by_name["svd", None].mean_log_eer > best.mean_log_eer + TIE
    assert (choice.n_target, choice.n_nontarget) == (12 * 28, 96 * 95 // 2 - 12 * 28)


def test_eer_is_that_of_cosines_of_rotated_prefixes():
    fit, held_out = voices(10, seed=0), voices(6, seed=1)
    trials = all_trials(held_out)
    choice = select_rotation(fit, trials, RotationCandidates(("svd", "none")))
    moment = fit.embeddings / np.linalg.norm(fit.embeddings, axis=1, keepdims=True)
    first = np.linalg.eigh(moment.T @ moment)[1][:, :15:-1]
    for result, values in zip(choice.results, (held_out.embeddings @ first, held_out.embeddings[:, :16]), strict=True):
        unit = values / np.linalg.norm(values, axis=1, keepdims=True)
        expected = equal_error_rate((unit @ unit.T)[trials.enroll, trials.test], trials.is_target)
        assert result.eer == {16: pytest.approx(expected, abs=1e-12)}
        assert result.mean_log_eer == pytest.approx(np.log(expected))


def test_best_order_is_kept_by_none():
    def ordered(vectors):
        return SpeakerEmbeddings(vectors.embeddings[:, ::-1], vectors.speaker_index)

    fit, held_out = ordered(voices(20, seed=0, noise=3.0)), ordered(voices(12, seed=1, noise=3.0))
    choice = select_rotation(fit, all_trials(held_out), RotationCandidates(("svd", "none")))
    assert choice.rotation.method == "none"
    assert np.array_equal(choice.rotation.matrix, np.eye(32))


def test_first_candidate_wins_a_tie():
    fit, held_out = voices(20, seed=0, noise=0.1), voices(12, seed=1, noise=0.1)
    choice = select_rotation(fit, all_trials(held_out), RotationCandidates(("class_svd", "svd")))
    assert choice.results[0].mean_log_eer == pytest.approx(choice.results[1].mean_log_eer, abs=TIE)
    assert choice.rotation.method == "class_svd"


def test_metrics_are_means_over_folds_and_the_fit_uses_everybody():
    folds = [Fold(voices(10, seed=seed), all_trials(voices(6, seed=seed + 10))) for seed in (0, 1)]
    everybody = voices(20, seed=5)
    candidates = RotationCandidates(("svd", "class_svd"))
    choice = cross_validate_rotation(folds, candidates, refit=everybody)
    single = [select_rotation(fold.fit, fold.held_out, candidates).results[0] for fold in folds]
    assert choice.results[0].eer[16] == pytest.approx((single[0].eer[16] + single[1].eer[16]) / 2)
    assert choice.results[0].mean_log_eer == pytest.approx((single[0].mean_log_eer + single[1].mean_log_eer) / 2)
    expected = fit_rotation(everybody.embeddings, everybody.speaker_index, method=choice.rotation.method)
    assert np.array_equal(choice.rotation.matrix, expected.matrix)


def test_single_candidate_is_not_scored():
    vectors = voices(5, seed=0)
    choice = cross_validate_rotation((), RotationCandidates(("lda_qr",), lda_shrinkages=(4.0,)), refit=vectors)
    assert (choice.rotation.method, choice.rotation.parameter, choice.results) == ("lda_qr", 4.0, ())
    assert choice.entry() == choice.rotation.entry()


def test_entry_holds_every_candidate():
    choice = select_rotation(voices(10, seed=0), all_trials(voices(6, seed=1)), RotationCandidates(("svd", "none")))
    entry = choice.entry()["choice"]
    assert (entry["widths"], entry["n_target"], entry["n_nontarget"]) == ([16], 168, 960)
    assert [(each["method"], each["parameter"]) for each in entry["candidates"]] == [("svd", None), ("none", None)]
    assert entry["candidates"][1]["eer"] == [choice.results[1].eer[16]]


def test_method_that_cannot_be_fitted_raises():
    alone = SpeakerEmbeddings(np.random.default_rng(0).normal(size=(5, 4)), np.zeros(5, dtype=int))
    with pytest.raises(DataError, match="the rotation lda_qr cannot be fitted: lda_qr needs two speakers"):
        cross_validate_rotation((), RotationCandidates(("lda_qr",), lda_shrinkages=(1.0,)), refit=alone)


def test_embedded_trials_find_the_rows_of_their_utterances():
    trials = Trials(("s/a", "s/a"), ("s/b", "t/c"), np.array([True, False]), "list", "")
    embedded = EmbeddedTrials.of(trials, ["t/c", "s/a", "s/b"], np.eye(3))
    assert (embedded.enroll.tolist(), embedded.test.tolist()) == ([1, 1], [2, 0])

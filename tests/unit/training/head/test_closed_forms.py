import numpy as np
import pytest

from mrlspk.rotation.selection import EmbeddedTrials, Fold, SpeakerEmbeddings
from mrlspk.training.head.closed_forms import compare_closed_forms

WIDTHS = 1, 2


def fold_of(seed):
    """Two speakers, of two utterances each, whose second value tells them apart and whose first does not."""
    first = np.random.default_rng(seed).normal(scale=0.1, size=4) + 5
    embeddings = np.column_stack([first, [1.0, 1.0, -1.0, -1.0]])
    enroll, test, is_target = np.array([0, 2, 0, 1]), np.array([1, 3, 2, 3]), np.array([True, True, False, False])
    return Fold(SpeakerEmbeddings(embeddings, np.arange(4)), EmbeddedTrials(embeddings, enroll, test, is_target))


def kept(_):
    return lambda embeddings: embeddings


def centred(fit):
    return lambda embeddings: (embeddings - fit.embeddings.mean(0))[:, ::-1]


@pytest.mark.parametrize(("rotation", "start", "prefers_start"), [(kept, centred, True), (centred, kept, False)])
def test_the_form_that_tells_held_out_speakers_apart_is_preferred(rotation, start, prefers_start):
    folds = fold_of(0), fold_of(1)
    found = compare_closed_forms(folds, rotation=rotation, start=start, widths=WIDTHS, n_speakers=4)
    assert found.prefers_start is prefers_start
    assert found.entry() == {
        "rotation_mean_log_eer": found.rotation_mean_log_eer,
        "start_mean_log_eer": found.start_mean_log_eer,
        "n_speakers": 4,
    }


def test_a_tie_keeps_the_rotation():
    found = compare_closed_forms([fold_of(0)], rotation=kept, start=kept, widths=WIDTHS, n_speakers=2)
    assert not found.prefers_start
    assert found.reason == "on 2 training speakers the start's mean log EER is not below the rotation's"


def test_each_form_is_fitted_without_the_speakers_of_the_fold():
    fitted = []

    def noting(fit):
        fitted.append(fit)
        return lambda embeddings: embeddings

    folds = fold_of(0), fold_of(1)
    compare_closed_forms(folds, rotation=noting, start=noting, widths=WIDTHS, n_speakers=4)
    assert [id(each) for each in fitted] == [id(fold.fit) for fold in (*folds, *folds)]

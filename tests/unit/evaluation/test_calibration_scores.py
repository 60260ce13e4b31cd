from pathlib import Path

import numpy as np
import pytest

from mrlspk.data.trials import Trials
from mrlspk.errors import DataError
from mrlspk.evaluation import embeddings
from mrlspk.evaluation.calibration_scores import score_for_fit
from mrlspk.evaluation.embeddings import Embedder
from mrlspk.evaluation.trial_list import TrialList
from mrlspk.inference.embedding import EmbeddedFiles

SECONDS = {"a1": 1.0, "a2": 2.0, "b1": 4.0, "b2": 8.0}


@pytest.fixture
def embedder(monkeypatch):
    """Embed nothing: of a recording, the vector says which it is and how long it was cut."""

    def embed_files(_encoder, recordings, **_settings):
        found = EmbeddedFiles()
        for name, recording in recordings.items():
            number, length = list(SECONDS).index(recording.path.stem), SECONDS[recording.path.stem]
            cut = recording.crop_seconds or length
            if cut <= length:
                found.embeddings[name] = np.array([1.0, number, cut], dtype=np.float32)
                found.seconds[name] = cut
        return found

    monkeypatch.setattr(embeddings, "embed_files", embed_files)
    return Embedder(None, "f", 1, 60.0)


def trial_list(rows, enrolments=None):
    enroll_ids, test_ids, is_target = zip(*rows, strict=True)
    trials = Trials(enroll_ids, test_ids, np.array(is_target), "list", "0" * 64, enrolments or {})
    return TrialList(trials, Path("root"), "--trials", {name: Path("root", f"{name}.wav") for name in SECONDS})


ROWS = [("a1", "a2", True), ("a1", "b2", False), ("b1", "b2", True), ("b1", "a1", False)]


def test_shorter_side_is_that_of_the_cut_test_side_or_of_the_whole_enrolment(embedder):
    fitting = score_for_fit(embedder, [trial_list(ROWS)], (3,), crops=(1.0, None))
    assert fitting.shorter_seconds.tolist() == [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 4.0, 1.0]
    assert fitting.is_target.tolist() == [True, False, True, False] * 2
    assert fitting.n_left_out == 0


def test_test_sides_alone_are_cut_and_trials_with_a_shorter_side_are_left_out_and_counted(embedder):
    rows = [*ROWS, ("a2", "b1", False)]
    fitting = score_for_fit(embedder, [trial_list(rows)], (3,), crops=(2.0,))
    assert fitting.n_left_out == 3  # those with a1, of one second, on either side
    expected = []
    for enroll, test, _ in rows:
        whole = np.array([1.0, list(SECONDS).index(enroll), SECONDS[enroll]])
        cut = np.array([1.0, list(SECONDS).index(test), 2.0])
        expected.append(whole @ cut / np.linalg.norm(whole) / np.linalg.norm(cut))
    assert fitting.scores[:, 0] == pytest.approx([expected[row] for row in (2, 4)], abs=1e-6)
    assert fitting.shorter_seconds.tolist() == [2.0, 2.0]


def test_utterances_of_an_enrolment_count_together(embedder):
    rows = [("both", "b2", True), ("both", "b1", False)]
    fitting = score_for_fit(embedder, [trial_list(rows, {"both": ("a1", "a2")})], (3,))
    assert fitting.shorter_seconds.tolist() == [3.0, 3.0]


def test_lists_follow_each_other(embedder):
    both = score_for_fit(embedder, [trial_list(ROWS), trial_list(ROWS[:2])], (1, 3))
    first = score_for_fit(embedder, [trial_list(ROWS)], (1, 3))
    assert both.scores.tolist() == [*first.scores.tolist(), *first.scores[:2].tolist()]


def test_cut_that_leaves_one_kind_of_trial_is_refused(embedder):
    with pytest.raises(DataError, match="1 target and 0 non-target trials have both sides of 2 s or more") as caught:
        score_for_fit(embedder, [trial_list(ROWS[2:])], (3,), crops=(1.0, 2.0))
    assert caught.value.fix == "Leave that length out of --durations."

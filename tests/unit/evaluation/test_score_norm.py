from pathlib import Path

import numpy as np
import pytest

from mrlspk.data.trials import Trials
from mrlspk.evaluation.score_norm import Cohort, ScoreNorm, normalise
from mrlspk.evaluation.trial_cosines import Voices, enrolment_side, score_sides
from mrlspk.evaluation.trial_cosines import test_side as side_of_tests


def unit(vector):
    return vector / np.linalg.norm(vector)


def expected_score(voice, test, cohort, dim, top_n):
    """Return (s − μe) / 2σe + (s − μt) / 2σt of the highest ``top_n`` cohort scores of each side, by the book."""
    voice, test = unit(voice[:dim]), unit(test[:dim])
    parts = []
    for side in (voice, test):
        nearest = sorted((side @ unit(member[:dim]) for member in cohort), reverse=True)[:top_n]
        parts.append((voice @ test - np.mean(nearest)) / np.std(nearest))
    return sum(parts) / 2


@pytest.mark.parametrize("top_n", [None, 5])
def test_normalised_scores_are_those_of_the_definition_at_each_width(top_n):
    rng = np.random.default_rng(0)
    vectors = {name: rng.normal(size=6) for name in ("a/1", "a/2", "b/1", "b/2")}
    members = {"two": ("a/1", "a/2")}
    trials = Trials(
        ("a/1", "two", "two"), ("b/1", "b/2", "b/1"), np.array([True, False, True]), "list", "0" * 64, members
    )
    recordings = rng.normal(size=(24, 6))  # two of each of twelve speakers
    voices = Voices(recordings, np.arange(0, 24, 2))
    norm = ScoreNorm(Cohort(Path("cohort"), "0", tuple(map(str, range(12))), voices), top_n)
    enroll, test = enrolment_side(vectors, trials), side_of_tests(vectors, trials)
    scores = normalise(score_sides(enroll, test, (2, 6)), enroll, test, (2, 6), norm)
    for column, dim in enumerate((2, 6)):
        both = unit(vectors["a/1"][:dim]) + unit(vectors["a/2"][:dim])
        sides = [(vectors["a/1"], "b/1"), (both, "b/2"), (both, "b/1")]
        for row, (voice, test_id) in enumerate(sides):
            pairs = zip(recordings[::2], recordings[1::2], strict=True)
            cohort = [unit(one[:dim]) + unit(other[:dim]) for one, other in pairs]
            expected = expected_score(voice, vectors[test_id], cohort, dim, top_n)
            assert scores[row, column] == pytest.approx(expected, rel=1e-4)

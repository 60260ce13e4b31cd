import numpy as np

from mrlspk.evaluation.intervals import Resampling, describe_intervals, draw, width_intervals
from mrlspk.metrics.bootstrap import rate_interval
from mrlspk.metrics.dcf import min_dcf
from mrlspk.metrics.eer import equal_error_rate
from scored_lists import drawn_trials


def test_intervals_hold_the_figures_and_repeat_with_the_seed():
    trials = drawn_trials()
    first, again, other = (width_intervals(trials, (0.05,), Resampling(200, seed)) for seed in (1, 1, 2))
    assert first == again != other
    for width, scores in zip(first, trials.scores.T, strict=True):
        assert width.eer[0] < equal_error_rate(scores, trials.is_target) < width.eer[1]


def test_intervals_are_those_of_the_draws_at_95_per_cent():
    trials = drawn_trials()
    draws = draw(trials, trials.scores, (0.05, 0.2), Resampling(200, 3))
    for column, width in enumerate(width_intervals(trials, (0.05, 0.2), Resampling(200, 3))):
        scores = trials.scores[:, column]
        eer = equal_error_rate(scores, trials.is_target)
        assert width.eer == rate_interval(draws.eer[:, column], eer, n_speakers=30, level=0.95)
        for index, p_target in enumerate((0.05, 0.2)):
            cost = min_dcf(scores, trials.is_target, p_target=p_target)
            expected = rate_interval(
                draws.min_dcf[:, column, index], cost, n_speakers=30, weight=1 / p_target, level=0.95
            )
            assert width.min_dcf[index] == expected


def test_few_speakers_have_no_intervals_and_the_note_says_why():
    trials = drawn_trials(n_speakers=19)
    assert width_intervals(trials, (0.05,), Resampling(200, 0)) is None
    note = describe_intervals(trials, Resampling(200, 0), speakers_from="folders")
    assert (note.n_speakers, note.n_resamples) == (19, 0)
    assert "fewer than 20" in note.note


def test_speakers_of_the_rarer_kind_count():
    trials = drawn_trials(n_speakers=30)
    few = trials.only(~trials.is_target | (trials.enroll_speaker < 7))
    assert (few.n_speakers, few.n_speakers_by_kind) == (30, (7, 30))
    note = describe_intervals(few, Resampling(200, 0), speakers_from="folders").note
    assert note.startswith("target trials of 7 speakers: an interval")
    assert width_intervals(few, (0.05,), Resampling(200, 0)) is None


def test_no_draws_give_no_intervals():
    trials = drawn_trials()
    assert width_intervals(trials, (0.05,), Resampling(0, 0)) is None
    assert describe_intervals(trials, Resampling(0, 0), speakers_from="folders").note == "not asked for"


def test_the_note_says_what_was_drawn():
    note = describe_intervals(drawn_trials(), Resampling(200, 0), speakers_from="the list")
    assert (note.note, note.n_resamples, note.n_speakers, note.speakers_from) == (None, 200, 30, "the list")
    assert np.isclose(note.level, 0.95)

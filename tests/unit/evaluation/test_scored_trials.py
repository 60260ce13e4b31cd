import numpy as np

from mrlspk.evaluation.scored_trials import Resampling, describe_intervals
from mrlspk.metrics.eer import equal_error_rate
from mrlspk.metrics.significance import bootstrap_speakers
from mrlspk.metrics.width_metrics import measure_widths
from scored_lists import drawn_trials


def intervals(trials, seed):
    resamples = trials.resample((0.05,), Resampling(200, seed))
    results = measure_widths(trials.scores, trials.is_target, trials.dims, p_targets=(0.05,), resamples=resamples)
    return [result.eer_ci for result in results]


def test_intervals_contain_the_eer_and_repeat_with_the_seed():
    trials = drawn_trials()
    first, again, other = (intervals(trials, seed) for seed in (1, 1, 2))
    assert first == again != other
    for (low, high), scores in zip(first, trials.scores.T, strict=True):
        assert low < equal_error_rate(scores, trials.is_target) < high


def test_resamples_are_those_of_the_speakers_on_both_sides():
    trials = drawn_trials()
    found = trials.resample((0.05, 0.2), Resampling(50, 3))
    arrays = trials.scores, trials.is_target, trials.enroll_speaker, trials.test_speaker
    expected = bootstrap_speakers(*arrays, p_targets=(0.05, 0.2), n_resamples=50, seed=3)
    assert np.array_equal(found.eer, expected.eer)
    assert np.array_equal(found.min_dcf, expected.min_dcf)


def test_few_speakers_are_not_resampled_and_the_note_says_why():
    trials = drawn_trials(n_speakers=19)
    assert trials.resample((0.05,), Resampling(200, 0)) is None
    note = describe_intervals(trials, Resampling(200, 0), speakers_from="folders")
    assert (note.n_speakers, note.n_resamples) == (19, 0)
    assert "at least 20" in note.note


def test_speakers_of_the_rarer_kind_count():
    trials = drawn_trials(n_speakers=30)
    few = trials.only(~trials.is_target | (trials.enroll_speaker < 7))
    assert (few.n_speakers, few.n_speakers_by_kind) == (30, (7, 30))
    note = describe_intervals(few, Resampling(200, 0), speakers_from="folders").note
    assert note == "target trials of 7 speakers; at least 20 are needed"
    assert few.resample((0.05,), Resampling(200, 0)) is None


def test_no_resamples_give_no_intervals():
    trials = drawn_trials()
    assert trials.resample((0.05,), Resampling(0, 0)) is None
    assert describe_intervals(trials, Resampling(0, 0), speakers_from="folders").note == "not requested"


def test_the_note_describes_the_resamples():
    note = describe_intervals(drawn_trials(), Resampling(200, 0), speakers_from="the list")
    assert (note.note, note.n_resamples, note.n_speakers, note.speakers_from) == (None, 200, 30, "the list")
    assert np.isclose(note.level, 0.95)

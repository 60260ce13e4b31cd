from dataclasses import replace

import numpy as np
import pytest

from mrlspk.errors import DataError, UsageError
from mrlspk.evaluation.list_comparison import common_dims, compare_scores
from mrlspk.evaluation.scored_trials import Resampling
from mrlspk.metrics.eer import equal_error_rate
from scored_lists import drawn_trials, list_scores

DRAWS = Resampling(200, 0)


def worse(trials, noise, seed=1):
    rng = np.random.default_rng(seed)
    return replace(trials, scores=trials.scores + noise * rng.normal(size=trials.scores.shape))


def compare(models, **options):
    by_model = {name: [list_scores(scored)] for name, scored in models.items()}
    return compare_scores(by_model, (4, 8), 0.05, DRAWS, **options)[0]


def test_differences_are_those_of_the_metrics():
    a = drawn_trials(n_speakers=60)
    compared = compare({"a": a, "b": worse(a, 2)})
    for column, width in enumerate(compared.results):
        eers = [equal_error_rate(each.scores[:, column], a.is_target) for each in (a, worse(a, 2))]
        assert [model.eer for model in width.models.values()] == eers
        assert width.pairs[0].delta_eer == pytest.approx(eers[1] - eers[0])  # above zero: b makes more errors


def test_much_better_model_wins_and_the_p_value_agrees():
    a = drawn_trials(n_speakers=60)
    (width, _) = compare({"worse": worse(a, 3), "better": a}).results
    (pair,) = width.pairs
    assert width.winner == "better"
    assert pair.delta_ci[1] < 0
    assert pair.p_value < 0.05
    assert pair.signs is None


def test_equal_models_have_no_winner():
    a = drawn_trials(n_speakers=60)
    (width, _) = compare({"a": a, "again": a}).results
    assert width.winner is None
    assert width.pairs[0].delta_eer == 0
    assert width.pairs[0].p_value == 1
    assert (width.pairs[0].mcnemar.only_a_wrong, width.pairs[0].mcnemar.p_value) == (0, 1)


def test_the_first_model_can_win():
    a = drawn_trials(n_speakers=60)
    (width, _) = compare({"better": a, "worse": worse(a, 3)}).results
    assert width.winner == "better"
    assert width.pairs[0].delta_ci[0] > 0


@pytest.mark.parametrize("first", [True, False])
def test_fewer_errors_within_the_interval_win_nothing(first):
    a = drawn_trials(n_speakers=60)
    near = worse(a, 0.2)
    models = {"a": a, "near": near} if first else {"near": near, "a": a}
    (width, _) = compare(models).results
    (pair,) = width.pairs
    assert pair.delta_eer != 0
    assert pair.delta_ci[0] < 0 < pair.delta_ci[1]
    assert width.winner is None


def test_without_resamples_many_speakers_are_not_listed():
    a = drawn_trials(n_speakers=60)
    by_model = {"a": [list_scores(a)], "b": [list_scores(worse(a, 3))]}
    (compared,) = compare_scores(by_model, (4, 8), 0.05, Resampling(0, 0))
    pair = compared.results[0].pairs[0]
    assert (pair.delta_ci, pair.p_value, pair.signs, pair.speakers) == (None, None, None, ())


def test_a_winner_must_beat_every_other():
    a = drawn_trials(n_speakers=60)
    (width, _) = compare({"good": a, "near": worse(a, 0.2), "bad": worse(a, 3)}).results
    assert width.winner is None
    assert [(pair.a, pair.b) for pair in width.pairs] == [("good", "near"), ("good", "bad"), ("near", "bad")]


def test_a_copy_of_a_model_does_not_take_its_win():
    a = drawn_trials(n_speakers=60)
    (width, _) = compare({"good": a, "copy": a, "bad": worse(a, 3)}).results
    assert width.winner == "good"


def test_checkpoints_of_a_run_are_paired_with_the_next_only():
    a = drawn_trials(n_speakers=60)
    (width, _) = compare({"1": worse(a, 3), "2": worse(a, 2), "3": a}, neighbours=True).results
    assert [(pair.a, pair.b) for pair in width.pairs] == [("1", "2"), ("2", "3")]
    assert width.winner == "3"


def test_correction_holds_for_all_lists_and_widths_together():
    a = drawn_trials(n_speakers=60)
    by_model = {"a": [list_scores(a), list_scores(a)], "b": [list_scores(worse(a, 0.5, seed)) for seed in (1, 2)]}
    compared = compare_scores(by_model, (4, 8), 0.05, DRAWS)
    pairs = [width.pairs[0] for trials in compared for width in trials.results]
    smallest = min(pairs, key=lambda pair: pair.p_value)
    assert smallest.p_holm == pytest.approx(min(1, 4 * smallest.p_value))
    assert all(pair.p_holm >= pair.p_value for pair in pairs)


def test_few_speakers_are_shown_one_by_one_in_place_of_an_interval():
    a = drawn_trials(n_speakers=6)
    compared = compare({"a": a, "b": worse(a, 3)})
    pair = compared.results[0].pairs[0]
    assert (pair.delta_ci, pair.p_value, pair.p_holm, compared.results[0].winner) == (None,) * 4
    assert [each.speaker for each in pair.speakers] == list(a.speakers)
    assert pair.signs.fewer == sum(each.eer_b < each.eer_a for each in pair.speakers)
    assert pair.signs.more == sum(each.eer_b > each.eer_a for each in pair.speakers)
    assert pair.signs.fewer + pair.signs.more + pair.signs.equal == 6
    assert "at least 20" in compared.intervals.note


def test_mcnemar_counts_the_trials_that_one_model_alone_gets_wrong():
    a = drawn_trials(n_speakers=60)
    pair = compare({"a": a, "b": worse(a, 3)}).results[0].pairs[0]
    wrong = [
        (scored.scores[:, 0] >= threshold) != scored.is_target
        for scored, threshold in ((a, pair.mcnemar.threshold_a), (worse(a, 3), pair.mcnemar.threshold_b))
    ]
    assert pair.mcnemar.only_a_wrong == np.sum(wrong[0] & ~wrong[1])
    assert pair.mcnemar.only_b_wrong == np.sum(wrong[1] & ~wrong[0])


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(lambda a: [list_scores(a, sha256="1" * 64)], id="another list"),
        pytest.param(lambda a: [list_scores(a, trials_sha256="2" * 64)], id="other trials or enrolments of it"),
        pytest.param(lambda a: [list_scores(a.only(np.arange(a.is_target.size) > 0))], id="other trials left out"),
        pytest.param(lambda a: [list_scores(a)] * 2, id="another number of lists"),
        pytest.param(lambda a: [list_scores(replace(a, speakers=a.speakers[::-1]))], id="other speakers"),
    ],
)
def test_models_scored_on_different_lists_are_rejected(other):
    a = drawn_trials()
    with pytest.raises(DataError, match="was scored on") as caught:
        compare_scores({"a": [list_scores(a)], "b": other(a)}, (4,), 0.05, DRAWS)
    assert caught.value.where == "b"


def test_common_widths_rise():
    assert common_dims({"a": (64, 128, 192), "b": (32, 64, 192)}) == (64, 192)


def test_models_without_a_common_width_are_named_with_theirs():
    with pytest.raises(UsageError, match="a: 64, 128; b: 192"):
        common_dims({"a": (64, 128), "b": (192,)})

"""Verdicts on embeddings made by hand: two pairs of values, each good at one width, so that EERs can be counted."""

from itertools import combinations

import numpy as np
import pytest

from mrlspk.data.audio.source import FileSource
from mrlspk.data.manifest import Utterance
from mrlspk.data.trials import Trials
from mrlspk.training.head.closed_forms import ClosedForms
from mrlspk.training.head.verdict import measure_baselines, reach_verdict
from mrlspk.training.validation import ValidationTrials

WIDTHS = 2, 4


def trials_of(n_speakers, *, per_speaker=3, published=WIDTHS, domains=None):
    """All pairs of the utterances of so many speakers; within domains, if there are any."""
    ids = [f"s{speaker:02}/{number}.wav" for speaker in range(n_speakers) for number in range(per_speaker)]
    domain = (domains or {}).get
    pairs = [(a, b) for a, b in combinations(ids, 2) if domain(a.split("/")[0]) == domain(b.split("/")[0])]
    is_target = np.array([a.split("/")[0] == b.split("/")[0] for a, b in pairs])
    trials = Trials(*map(tuple, zip(*pairs, strict=True)), is_target, path="by hand", sha256="0" * 64)
    utterances = tuple(Utterance(each, each.split("/")[0], each.split("/")[0], FileSource(each)) for each in ids)
    return ValidationTrials(
        utterances,
        trials,
        dims=WIDTHS,
        published_dims=published,
        weights=(1.0, 1.0),
        scale=30.0,
        p_target=0.05,
        domains=domains,
    )


def embed(n_speakers, *, narrow, wide, seed=0, per_speaker=3):
    """Embeddings of four values: their first two as noisy as ``narrow`` says, the others as ``wide``."""
    rng = np.random.default_rng(seed)
    angle = 2 * np.pi * np.arange(n_speakers) / n_speakers
    own = np.repeat(np.column_stack([np.cos(angle), np.sin(angle)]), per_speaker, axis=0)
    noise = rng.normal(size=(len(own), 4))
    return np.concatenate([own + narrow * noise[:, :2], 10 * (own + wide * noise[:, 2:])], axis=1)


def verdict_of(n_speakers, before, after, *, n_resamples=200, published=WIDTHS):
    trials = trials_of(n_speakers, published=published)
    first, second = (embed(n_speakers, **noise) for noise in (before, after))
    return reach_verdict(trials, {"rotation": first, "trained": second}, n_resamples=n_resamples, seed=1)


def test_lower_eer_at_every_width_keeps_the_trained_head():
    verdict = verdict_of(24, {"narrow": 0.5, "wide": 0.5}, {"narrow": 0.02, "wide": 0.02})
    assert [width.outcome for width in verdict.widths] == ["WIN", "WIN"]
    assert all(width.delta_ci[1] < 0 and width.p_value is None for width in verdict.widths)
    assert verdict.kept == "trained"
    assert verdict.trained_mean_log_eer < verdict.rotation_mean_log_eer


def test_regression_at_a_published_width_keeps_the_rotation():
    verdict = verdict_of(24, {"narrow": 0.05, "wide": 0.5}, {"narrow": 0.5, "wide": 0.02})
    assert [width.outcome for width in verdict.widths] == ["REGRESSION", "WIN"]
    assert (verdict.kept, verdict.reason) == ("rotation", "the trained head is worse at 2")


def test_regression_at_an_unpublished_width_is_ignored():
    verdict = verdict_of(24, {"narrow": 0.05, "wide": 0.5}, {"narrow": 0.5, "wide": 0.02}, published=(4,))
    assert [(width.published, width.outcome) for width in verdict.widths] == [(False, "REGRESSION"), (True, "WIN")]
    assert verdict.kept == "trained"


def test_equal_embeddings_are_even_and_keep_the_rotation():
    noise = {"narrow": 0.5, "wide": 0.5}
    verdict = verdict_of(24, noise, noise)
    assert [width.outcome for width in verdict.widths] == ["EVEN", "EVEN"]
    assert verdict.kept == "rotation"
    assert verdict.reason == "the trained head's mean log EER is not below the rotation's"


def test_full_width_that_is_worse_by_chance_alone_does_not_decide():
    trials = trials_of(24)
    before = embed(24, narrow=0.5, wide=0.3)
    after = embed(24, narrow=0.02, wide=0.3)
    after[0, 2:], after[3, 2:] = before[3, 2:], before[0, 2:].copy()  # one utterance each of two speakers, swapped
    verdict = reach_verdict(trials, {"rotation": before, "trained": after}, n_resamples=200, seed=1)
    full = verdict.widths[-1]
    assert (full.outcome, full.trained > full.rotation) == ("EVEN", True)
    assert verdict.kept == "trained"


GOOD, FAIR, POOR = ({"narrow": noise, "wide": noise} for noise in (0.02, 0.35, 0.7))


@pytest.mark.parametrize(
    ("start", "trained", "kept", "reason"),
    [
        (FAIR, GOOD, "trained", "its mean log EER is below the start's, and no published width is worse; the start's"),
        (GOOD, FAIR, "start", "the trained head is worse at 2, 4; the start's mean log EER is below the rotation's"),
        (GOOD, GOOD, "start", "the trained head's mean log EER is not below the start's; the start's mean log EER is"),
        (POOR | {"wide": 0.9}, GOOD, "trained", "below the rotation's, and no published width is worse; the start"),
        (POOR, POOR, "rotation", "the trained head's mean log EER is not below the rotation's; the start's mean log"),
    ],
)
def test_trained_head_is_compared_with_the_better_closed_form(start, trained, kept, reason):
    noises = {"rotation": POOR, "start": start, "trained": trained}
    embeddings = {name: embed(24, **noise) for name, noise in noises.items()}
    verdict = reach_verdict(trials_of(24), embeddings, n_resamples=200, seed=1)
    assert verdict.kept == kept
    assert reason in verdict.reason
    assert verdict.start_mean_log_eer is not None
    assert [width.start for width in verdict.widths] == [row.eer["start"] for row in verdict.domains[0].widths]


def test_start_that_is_worse_at_one_width_does_not_replace_the_rotation():
    embeddings = {
        "rotation": embed(24, narrow=0.3, wide=0.7),
        "start": embed(24, narrow=0.7, wide=0.02),
        "trained": embed(24, narrow=0.7, wide=0.7),
    }
    verdict = reach_verdict(trials_of(24), embeddings, n_resamples=200, seed=1)
    assert verdict.start_mean_log_eer < verdict.rotation_mean_log_eer
    assert verdict.kept == "rotation"
    assert verdict.reason.endswith("the start is worse at 2")


def two_domains(n_large, n_small):
    """The domain of each speaker, by his number."""
    return {f"s{number:02}": "large" if number < n_large else "small" for number in range(n_large + n_small)}


def test_regression_in_one_domain_is_not_made_up_for_by_another():
    domains, counts = two_domains(40, 22), (40 * 3, 22 * 3)
    before = embed(62, narrow=0.3, wide=0.3)
    good, bad = (embed(62, narrow=noise, wide=noise, seed=0) for noise in (0.01, 0.8))
    after = np.concatenate([good[: counts[0]], bad[counts[0] :]])
    verdict = reach_verdict(
        trials_of(62, domains=domains), {"rotation": before, "trained": after}, n_resamples=200, seed=1
    )
    assert verdict.kept == "rotation"
    assert verdict.reason == "the trained head is worse at 2, 4 of small"
    assert [(each.domain, each.n_speakers, each.n_target) for each in verdict.domains] == [
        ("large", 40, 40 * 3),
        ("small", 22, 22 * 3),
    ]
    outcomes = {each.domain: [row.comparisons[0].outcome for row in each.widths] for each in verdict.domains}
    assert outcomes == {"large": ["WIN", "WIN"], "small": ["REGRESSION", "REGRESSION"]}


def test_domain_of_few_speakers_is_shown_and_does_not_decide():
    domains = two_domains(30, 5)
    before = embed(35, narrow=0.3, wide=0.3)
    good, bad = (embed(35, narrow=noise, wide=noise) for noise in (0.01, 0.8))
    after = np.concatenate([good[:90], bad[90:]])
    trials = trials_of(35, domains=domains)
    verdict = reach_verdict(trials, {"rotation": before, "trained": after}, n_resamples=0, seed=1)
    assert [(each.domain, each.decides) for each in verdict.domains] == [("large", True), ("small", False)]
    assert verdict.domains[1].widths[0].comparisons[0].outcome == "REGRESSION"
    assert verdict.kept == "trained"
    large = trials.by_domain()["large"]
    assert verdict.trained_mean_log_eer == pytest.approx(large.mean_log_eer_of(after))


def test_domains_that_all_have_few_speakers_all_decide():
    domains = two_domains(5, 4)
    both = embed(9, narrow=0.3, wide=0.3)
    verdict = reach_verdict(trials_of(9, domains=domains), {"rotation": both, "trained": both}, n_resamples=0, seed=1)
    assert [each.decides for each in verdict.domains] == [True, True]


@pytest.mark.parametrize(("share", "kept"), [(0.99, "rotation"), (0.97, "trained")])
def test_eer_that_is_lower_by_less_than_a_tie_keeps_the_simpler(monkeypatch, share, kept):
    from mrlspk.training.head import verdict as module

    before = embed(24, narrow=0.5, wide=0.5)
    measured = module._mean_log_eer

    def scaled(trials, domain, name):
        return measured(trials, domain, "rotation") + (np.log(share) if name == "trained" else 0)

    monkeypatch.setattr(module, "_mean_log_eer", scaled)
    verdict = reach_verdict(trials_of(24), {"rotation": before, "trained": before}, n_resamples=0, seed=1)
    assert verdict.kept == kept


def test_every_domain_counts_as_much_as_a_larger_one():
    domains = two_domains(40, 6)
    before, after = embed(46, narrow=0.5, wide=0.5), embed(46, narrow=0.4, wide=0.4)
    verdict = reach_verdict(
        trials_of(46, domains=domains), {"rotation": before, "trained": after}, n_resamples=0, seed=1
    )
    for name, mean in (("rotation", verdict.rotation_mean_log_eer), ("trained", verdict.trained_mean_log_eer)):
        by_domain = [np.mean([np.log(row.eer[name]) for row in each.widths]) for each in verdict.domains]
        assert mean == pytest.approx(np.mean(by_domain))


@pytest.mark.parametrize(("n_speakers", "n_resamples"), [(6, 200), (24, 0)])
def test_verdict_without_resamples_uses_mcnemar(n_speakers, n_resamples):
    before, after = {"narrow": 0.6, "wide": 0.6}, {"narrow": 0.01, "wide": 0.01}
    verdict = verdict_of(n_speakers, before, after, n_resamples=n_resamples)
    assert all(width.delta_ci is None and width.p_value is not None for width in verdict.widths)
    assert [width.outcome for width in verdict.widths] == ["WIN", "WIN"]
    back = verdict_of(n_speakers, after, before, n_resamples=n_resamples)
    assert [width.outcome for width in back.widths] == ["REGRESSION", "REGRESSION"]
    assert [width.p_value for width in back.widths] == [width.p_value for width in verdict.widths]


def test_single_different_decision_is_even():
    trials = trials_of(6)
    before = embed(6, narrow=0.2, wide=0.2)
    after = before.copy()
    after[0] = embed(6, narrow=0.2, wide=0.2, seed=5)[0]
    verdict = reach_verdict(trials, {"rotation": before, "trained": after}, n_resamples=0, seed=1)
    assert {width.outcome for width in verdict.widths} == {"EVEN"}


def test_baselines_are_the_eers_of_both_embeddings():
    trials = trials_of(2, per_speaker=2)  # six trials, two of them target
    degrees = np.radians([[0, 0], [10, 100], [90, 90], [100, 10]])  # the second pair of values mixes up the speakers
    narrow, wide = (np.column_stack([np.cos(column), np.sin(column)]) for column in degrees.T)
    own = np.concatenate([narrow, 10 * wide], axis=1)
    rotated = np.concatenate([narrow, 0.1 * wide], axis=1)
    found = measure_baselines(trials, own, rotated, method="svd")
    assert (found.own_dim, found.rotation_method) == (4, "svd")
    assert found.truncation[2] == found.rotation[2] == found.rotation[4] == 0
    assert found.own == found.truncation[4] == 0.5  # one of two target trials, two of four others
    half = 0.5 / 4  # a rate of zero counts as half an error among the four non-target trials
    assert found.rotation_mean_log_eer == pytest.approx(np.log(half))


def test_width_beyond_the_own_embedding_has_no_truncation():
    trials = trials_of(4)
    both = embed(4, narrow=0.1, wide=0.1)
    found = measure_baselines(trials, both[:, :3], both, method="none")
    assert (found.own_dim, set(found.truncation), set(found.rotation)) == (3, {2}, {2, 4})


@pytest.mark.parametrize(("start_mean", "kept"), [(-2.5, "start"), (-2.01, "rotation"), (-1.0, "rotation")])
def test_training_speakers_decide_between_the_closed_forms(start_mean, kept):
    noises = {"rotation": FAIR, "start": FAIR, "trained": POOR}
    embeddings = {name: embed(24, **noise) for name, noise in noises.items()}
    found = ClosedForms(rotation_mean_log_eer=-2.0, start_mean_log_eer=start_mean, n_speakers=300)
    verdict = reach_verdict(trials_of(24), embeddings, n_resamples=200, seed=1, closed_forms=found)
    assert verdict.kept == kept
    assert "on 300 training speakers the start's mean log EER" in verdict.reason

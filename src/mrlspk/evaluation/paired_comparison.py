"""Compare systems on the same scored trials: bootstrap over speakers, McNemar's test, differences by speaker."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise

import numpy as np
from numpy.typing import NDArray

from mrlspk.evaluation.breakdown import speaker_eer
from mrlspk.evaluation.scored_trials import Resampling, ScoredTrials
from mrlspk.metrics.eer import eer_threshold
from mrlspk.metrics.significance import (
    BootstrapResamples,
    Interval,
    bootstrap_speakers,
    interval,
    mcnemar_p_value,
    p_value,
)
from mrlspk.metrics.width_metrics import WidthMetrics, measure_widths


@dataclass(frozen=True)
class McNemar:
    """The trials that only one of two systems decides incorrectly, each at its own EER threshold.

    Attributes:
        threshold_a: EER threshold of ``a``.
        threshold_b: EER threshold of ``b``.
        only_a_wrong: Trials that only ``a`` decides incorrectly.
        only_b_wrong: Trials that only ``b`` decides incorrectly.
        p_value: Exact, two-sided; too small, because it treats trials of one speaker as independent.
    """

    threshold_a: float
    threshold_b: float
    only_a_wrong: int
    only_b_wrong: int
    p_value: float


@dataclass(frozen=True)
class Signs:
    """Number of speakers for whom ``b`` has fewer errors than ``a``, more, or as many."""

    fewer: int
    more: int
    equal: int


@dataclass(frozen=True)
class SpeakerDifference:
    """The equal error rates on the trials that include one speaker."""

    speaker: str
    eer_a: float
    eer_b: float
    delta: float


@dataclass(frozen=True)
class Difference:
    """System ``b`` minus system ``a``; below zero, ``b`` makes fewer errors.

    Attributes:
        a: Name.
        b: Name.
        delta_eer: Of the equal error rates.
        delta_ci: Its 95 % interval over speakers; None without resamples.
        p_value: Two-sided, of no difference; below 0.05 exactly if the interval excludes zero.
        p_holm: The same after Holm's correction for all comparisons; None until it is corrected.
        delta_min_dcf: Of the detection costs at the first prior; None without a prior.
        delta_min_dcf_ci: Its interval.
        min_dcf_p_value: Its p-value, not corrected.
        mcnemar: The decisions at each system's EER threshold, trial by trial.
        signs: Speakers for whom ``b`` has the lower equal error rate, if there are too few for an interval.
        speakers: The speakers one by one, in the same case.
    """

    a: str
    b: str
    delta_eer: float
    delta_ci: Interval | None
    p_value: float | None
    p_holm: float | None
    delta_min_dcf: float | None
    delta_min_dcf_ci: Interval | None
    min_dcf_p_value: float | None
    mcnemar: McNemar
    signs: Signs | None
    speakers: tuple[SpeakerDifference, ...]


@dataclass(frozen=True)
class ComparedWidth:
    """All systems and their differences at one width.

    Attributes:
        dim: The width.
        models: Metrics by system.
        pairs: Differences of pairs of systems.
        winner: The system whose difference to every other has an interval below zero; None if there is none.
    """

    dim: int
    models: Mapping[str, WidthMetrics]
    pairs: tuple[Difference, ...]
    winner: str | None


@dataclass(frozen=True)
class _System:
    """One system at one width; ``trials`` and ``resamples`` have one column."""

    name: str
    trials: ScoredTrials
    metrics: WidthMetrics
    resamples: BootstrapResamples | None


def compare_systems(
    systems: Mapping[str, ScoredTrials],
    *,
    p_targets: Sequence[float] = (),
    resampling: Resampling | None = None,
    neighbours: bool = False,
) -> tuple[ComparedWidth, ...]:
    """Return how systems differ on the same trials, width by width.

    Args:
        systems: The same trials at the same widths, scored by each system.
        p_targets: Priors of the detection cost.
        resampling: How speakers are resampled; None for McNemar's test alone.
        neighbours: Pair each system with the next one only, as checkpoints of a run; otherwise every two.

    Raises:
        MetricError: If a score is not finite, or one kind of trial is absent.
    """
    first = next(iter(systems.values()))
    resamples = _resample(systems, p_targets, resampling) if resampling else None
    n_dims, by_system = len(first.dims), []
    for index, (name, trials) in enumerate(systems.items()):
        own = resamples and resamples.at(slice(index * n_dims, (index + 1) * n_dims))
        metrics = measure_widths(
            trials.scores, trials.is_target, trials.dims, p_targets=p_targets, resamples=own, brief=True
        )
        by_system.append(
            [
                _System(name, trials.at((dim,)), metrics[column], own and own.at(slice(column, column + 1)))
                for column, dim in enumerate(trials.dims)
            ]
        )
    return tuple(_compare_width(width, neighbours=neighbours) for width in zip(*by_system, strict=True))


def _resample(
    systems: Mapping[str, ScoredTrials], p_targets: Sequence[float], resampling: Resampling
) -> BootstrapResamples:
    """Return the same resamples of all systems, whose columns stand one after the other."""
    first = next(iter(systems.values()))
    return bootstrap_speakers(
        np.concatenate([each.scores for each in systems.values()], axis=1),
        first.is_target,
        first.enroll_speaker,
        first.test_speaker,
        p_targets=p_targets,
        n_resamples=resampling.n_resamples,
        seed=resampling.seed,
    )


def _compare_width(systems: Sequence[_System], *, neighbours: bool) -> ComparedWidth:
    pairs = pairwise(systems) if neighbours else combinations(systems, 2)
    return ComparedWidth(
        dim=systems[0].metrics.dim,
        models={each.name: each.metrics for each in systems},
        pairs=tuple(_difference(a, b) for a, b in pairs),
        winner=_winner(systems),
    )


def _difference(a: _System, b: _System) -> Difference:
    delta_eer, delta_min_dcf = b.metrics.eer - a.metrics.eer, None
    delta_ci, p, dcf_ci, dcf_p = None, None, None, None
    if a.resamples and b.resamples:
        eers = b.resamples.eer[:, 0] - a.resamples.eer[:, 0]
        delta_ci, p = interval(eers, delta_eer), p_value(eers, delta_eer)
    if a.metrics.dcf and b.metrics.dcf:
        delta_min_dcf = b.metrics.min_dcf - a.metrics.min_dcf
        if a.resamples and b.resamples:
            costs = b.resamples.min_dcf[:, 0, 0] - a.resamples.min_dcf[:, 0, 0]
            dcf_ci, dcf_p = interval(costs, delta_min_dcf), p_value(costs, delta_min_dcf)
    signs, speakers = (None, ()) if a.trials.has_intervals else _speaker_differences(a.trials, b.trials)
    return Difference(
        a=a.name,
        b=b.name,
        delta_eer=delta_eer,
        delta_ci=delta_ci,
        p_value=p,
        p_holm=None,
        delta_min_dcf=delta_min_dcf,
        delta_min_dcf_ci=dcf_ci,
        min_dcf_p_value=dcf_p,
        mcnemar=_mcnemar(a, b),
        signs=signs,
        speakers=speakers,
    )


def _mcnemar(a: _System, b: _System) -> McNemar:
    threshold_a, wrong_a = _wrong(a.trials)
    threshold_b, wrong_b = _wrong(b.trials)
    only_a, only_b = int(np.count_nonzero(wrong_a & ~wrong_b)), int(np.count_nonzero(wrong_b & ~wrong_a))
    return McNemar(threshold_a, threshold_b, only_a, only_b, mcnemar_p_value(only_a, only_b))


def _wrong(trials: ScoredTrials) -> tuple[float, NDArray[np.bool_]]:
    """Return the EER threshold, and (trials,) the trials that it decides incorrectly."""
    scores = trials.scores[:, 0]
    threshold = eer_threshold(scores, trials.is_target)
    return threshold, (scores >= threshold) != trials.is_target


def _speaker_differences(a: ScoredTrials, b: ScoredTrials) -> tuple[Signs, tuple[SpeakerDifference, ...]]:
    """Return the difference of each speaker with both kinds of trial, and how many are of each sign."""
    differences = []
    for index, name in enumerate(a.speakers):
        eer_a, eer_b = (speaker_eer(each, index, each.scores[:, 0]) for each in (a, b))
        if eer_a is not None and eer_b is not None:
            differences.append(SpeakerDifference(name, eer_a, eer_b, eer_b - eer_a))
    fewer, more = (sum(sign * each.delta > 0 for each in differences) for sign in (-1, 1))
    return Signs(fewer, more, len(differences) - fewer - more), tuple(differences)


def _winner(systems: Sequence[_System]) -> str | None:
    """Return the system whose difference to every other has an interval below zero; None if there is none.

    Of systems with the same scores, such as a file and its copy, only the first counts.
    """
    best, *others = sorted(systems, key=lambda each: each.metrics.eer)
    rivals = [each for each in others if not np.array_equal(each.trials.scores, best.trials.scores)]
    for other in rivals:
        if best.resamples is None or other.resamples is None:
            return None
        difference = best.resamples.eer[:, 0] - other.resamples.eer[:, 0]
        if interval(difference, best.metrics.eer - other.metrics.eer)[1] >= 0:
            return None
    return best.name if rivals else None

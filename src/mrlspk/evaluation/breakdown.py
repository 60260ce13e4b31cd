"""Break metrics down by duration, speaker property, speaker and trial."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrlspk.data.trials import Trials
from mrlspk.evaluation.score_lists import CroppedTrials
from mrlspk.evaluation.scored_trials import ScoredTrials
from mrlspk.metrics.det import operating_points
from mrlspk.metrics.eer import eer_at, eer_threshold_at
from mrlspk.metrics.width_metrics import WidthMetrics, measure_widths

SHOWN = 10
MIXED = "(different)"  # brackets distinguish it from the values of a table
UNKNOWN = "(unknown)"


@dataclass(frozen=True)
class Group:
    """The trials with the same value on both sides, with different values, or with an unknown value.

    ``results`` is empty if there is only one kind of trial.
    """

    value: str
    n_target: int
    n_nontarget: int
    results: tuple[WidthMetrics, ...]


@dataclass(frozen=True)
class ColumnBreakdown:
    """The groups of one column by value."""

    column: str
    groups: tuple[Group, ...]


@dataclass(frozen=True)
class SpeakerErrors:
    """The errors on the trials that include a speaker.

    Attributes:
        speaker: Name.
        n_target: Target trials.
        n_nontarget: Non-target trials.
        eer: Equal error rate on these trials alone; None if there is only one kind.
        p_miss: Share of the target trials rejected at the threshold of all trials; None without any.
        p_fa: Share of the non-target trials accepted there; None without any.
    """

    speaker: str
    n_target: int
    n_nontarget: int
    eer: float | None
    p_miss: float | None
    p_fa: float | None


@dataclass(frozen=True)
class WrongTrial:
    """One trial that is decided incorrectly."""

    enroll_id: str
    test_id: str
    score: float


@dataclass(frozen=True)
class ConfidentErrors:
    """The trials that are farthest on the wrong side of the EER threshold of the full width, worst first."""

    dim: int
    threshold: float
    false_accepts: tuple[WrongTrial, ...]
    misses: tuple[WrongTrial, ...]


@dataclass(frozen=True)
class WorstSpeakers:
    """The speakers with the highest error rates at the EER threshold of the full width, worst first."""

    dim: int
    speakers: tuple[SpeakerErrors, ...]


@dataclass(frozen=True)
class DurationResult:
    """All widths at one duration.

    Attributes:
        seconds: Length of the crop from the middle of the test side; None for the whole recording.
        n_target: Target trials.
        n_nontarget: Non-target trials.
        n_left_out: Trials with a shorter side.
        results: By width, rising; empty if there is only one kind of trial.
    """

    seconds: float | None
    n_target: int
    n_nontarget: int
    n_left_out: int
    results: tuple[WidthMetrics, ...]


def measure_durations(
    whole: ScoredTrials,
    cropped: Mapping[float, CroppedTrials],
    durations: Sequence[float | None],
    p_target: float,
) -> tuple[DurationResult, ...]:
    """Return the metrics of each duration, in the given order; None among them is the whole recording."""
    results = []
    for seconds in durations:
        part = CroppedTrials(whole, np.ones_like(whole.is_target)) if seconds is None else cropped[seconds]
        scored = part.scored
        results.append(
            DurationResult(
                seconds,
                scored.n_target if scored else 0,
                scored.n_nontarget if scored else 0,
                part.n_left_out,
                _measure(scored, p_target),
            )
        )
    return tuple(results)


def break_down(
    trials: ScoredTrials, column: str, enroll_values: Sequence[str | None], test_values: Sequence[str | None]
) -> ColumnBreakdown:
    """Return the metrics by value of ``column``; the values are those of each side, (trials,), None if unknown."""
    labels = [_label(*values) for values in zip(enroll_values, test_values, strict=True)]
    values = sorted(set(labels), key=lambda value: (value in {MIXED, UNKNOWN}, value))
    number = {value: index for index, value in enumerate(values)}
    group_of_trial = np.array([number[label] for label in labels])
    groups = (_group(trials, value, group_of_trial == index) for value, index in number.items())
    return ColumnBreakdown(column, tuple(groups))


def worst_speakers(trials: ScoredTrials) -> WorstSpeakers:
    """Return up to ten speakers with errors, by the mean of their miss and false-accept rates at full width."""
    threshold = eer_threshold_at(operating_points(trials.scores[:, -1], trials.is_target))
    accepted = trials.scores[:, -1] >= threshold
    n_speakers = len(trials.speakers)
    target = _count(trials, trials.is_target, n_speakers)
    nontarget = _count(trials, ~trials.is_target, n_speakers)
    missed = _count(trials, trials.is_target & ~accepted, n_speakers)
    taken = _count(trials, ~trials.is_target & accepted, n_speakers)
    share = (missed / np.maximum(target, 1) + taken / np.maximum(nontarget, 1)) / 2
    order = [speaker for speaker in np.argsort(-share, kind="stable")[:SHOWN] if share[speaker] > 0]
    return WorstSpeakers(
        trials.dims[-1],
        tuple(
            SpeakerErrors(
                speaker=trials.speakers[each],
                n_target=int(target[each]),
                n_nontarget=int(nontarget[each]),
                eer=speaker_eer(trials, each, trials.scores[:, -1]),
                p_miss=float(missed[each] / target[each]) if target[each] else None,
                p_fa=float(taken[each] / nontarget[each]) if nontarget[each] else None,
            )
            for each in order
        ),
    )


def speaker_eer(trials: ScoredTrials, speaker: int, scores: NDArray[np.float64]) -> float | None:
    """Return the EER on the trials that include a speaker; None if there is only one kind."""
    mine = (trials.enroll_speaker == speaker) | (trials.test_speaker == speaker)
    is_target = trials.is_target[mine]
    if is_target.all() or not is_target.any():
        return None
    return eer_at(operating_points(scores[mine], is_target))


def confident_errors(scored: ScoredTrials, trials: Trials) -> ConfidentErrors:
    """Return up to ten errors of each kind, farthest from the threshold first; both arguments are the same trials."""
    scores = scored.scores[:, -1]
    threshold = eer_threshold_at(operating_points(scores, scored.is_target))

    def worst(wrong: NDArray[np.bool_], sign: int) -> tuple[WrongTrial, ...]:
        rows = np.flatnonzero(wrong)
        rows = rows[np.argsort(sign * scores[rows], kind="stable")][:SHOWN]
        return tuple(WrongTrial(trials.enroll_ids[row], trials.test_ids[row], float(scores[row])) for row in rows)

    return ConfidentErrors(
        scored.dims[-1],
        threshold,
        false_accepts=worst(~scored.is_target & (scores >= threshold), -1),
        misses=worst(scored.is_target & (scores < threshold), 1),
    )


def _label(enroll: str | None, test: str | None) -> str:
    if enroll is None or test is None:
        return UNKNOWN
    return enroll if enroll == test else MIXED


def _group(trials: ScoredTrials, value: str, keep: NDArray[np.bool_]) -> Group:
    part = trials.only(keep)
    results = measure_widths(part.scores, part.is_target, part.dims, brief=True) if part.both_kinds else ()
    return Group(value, part.n_target, part.n_nontarget, results)


def _count(trials: ScoredTrials, chosen: NDArray[np.bool_], n_speakers: int) -> NDArray[np.int64]:
    """Return in how many of the chosen trials each speaker is; a trial within one speaker counts once."""
    enroll, test = trials.enroll_speaker[chosen], trials.test_speaker[chosen]
    apart = enroll != test
    counts: NDArray[np.int64] = np.bincount(enroll, minlength=n_speakers)
    counts += np.bincount(test[apart], minlength=n_speakers)
    return counts


def _measure(trials: ScoredTrials | None, p_target: float) -> tuple[WidthMetrics, ...]:
    if trials is None or not trials.both_kinds:
        return ()
    return measure_widths(trials.scores, trials.is_target, trials.dims, p_targets=[p_target], brief=True)

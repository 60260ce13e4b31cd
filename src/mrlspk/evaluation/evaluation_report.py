"""Report the metrics of one model on trial lists: by width, duration, column, speaker and trial."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mrlspk.config.evaluation import EvaluationConfig
from mrlspk.data.metadata import Metadata
from mrlspk.data.text_tables import column_name
from mrlspk.data.trials import OfficialMatch
from mrlspk.errors import UsageError
from mrlspk.evaluation.baselines import BaselineResults
from mrlspk.evaluation.breakdown import (
    ColumnBreakdown,
    ConfidentErrors,
    DurationResult,
    WorstSpeakers,
    break_down,
    confident_errors,
    measure_durations,
    worst_speakers,
)
from mrlspk.evaluation.calibration import Calibration
from mrlspk.evaluation.calibration_file import CalibrationFile
from mrlspk.evaluation.model_scores import ScoredList
from mrlspk.evaluation.score_norm import NormRequest
from mrlspk.evaluation.scored_trials import IntervalNote, Resampling, describe_intervals
from mrlspk.evaluation.stored_scores import ScoredAs
from mrlspk.evaluation.trial_list import MissingAudio, TrialList
from mrlspk.metrics.width_metrics import WidthMetrics, measure_widths

log = logging.getLogger("mrlspk.evaluation")


@dataclass(frozen=True)
class ListRequest:
    """Which figures are wanted of a list.

    Attributes:
        p_targets: Priors of the detection cost.
        false_accept_rates: At which thresholds are wanted.
        resampling: How speakers are drawn for intervals.
        durations: Lengths of the shorter side; None among them is the whole.
        by: Columns of the metadata or of the trial list.
        metadata: Of utterances or speakers.
        calibration: By which scores become log-likelihood ratios.
    """

    p_targets: tuple[float, ...]
    false_accept_rates: tuple[float, ...]
    resampling: Resampling
    durations: tuple[float | None, ...] = ()
    by: tuple[str, ...] = ()
    metadata: Metadata | None = None
    calibration: Calibration | None = None


@dataclass(frozen=True)
class ListReport:
    """Figures of one model on one trial list.

    Attributes:
        path: The list's file, or how its trials were made.
        sha256: Of the list.
        enrolments_sha256: Of the file of enrolment models; None without one.
        official: The published list that it is, if it is one.
        source: Why it is these trials.
        audio_root: What its utterance ids are relative to.
        n_target: Target trials.
        n_nontarget: Non-target trials.
        n_speakers: Speakers of all trials.
        n_utterances: Utterances that were embedded.
        missing: What was left out for want of audio; None where nothing may be.
        intervals: What the intervals rest on.
        results: By width, rising.
        durations: By length of the shorter side.
        breakdown: By column.
        worst_speakers: Those with the most errors.
        errors: The trials that are most wrong.
        baselines: The same trials scored by what the model came from; none where that was not asked for.
    """

    path: str
    sha256: str
    enrolments_sha256: str | None
    official: OfficialMatch | None
    source: str
    audio_root: Path
    n_target: int
    n_nontarget: int
    n_speakers: int
    n_utterances: int
    missing: MissingAudio | None
    intervals: IntervalNote
    results: tuple[WidthMetrics, ...]
    durations: tuple[DurationResult, ...]
    breakdown: tuple[ColumnBreakdown, ...]
    worst_speakers: WorstSpeakers
    errors: ConfidentErrors
    baselines: tuple[BaselineResults, ...] = ()


@dataclass(frozen=True)
class TargetWidth:
    """Which width meets a target on one list.

    Attributes:
        path: The list.
        dim: The smallest width whose interval lies whole at or below the target; None if there is none.
        dim_by_estimate: The smallest width whose figure does, whatever its interval; None if there is none.
        reason: Why ``dim`` is None; None where it is not.
    """

    path: str
    dim: int | None
    dim_by_estimate: int | None
    reason: str | None


@dataclass(frozen=True)
class EvaluationReport:
    """One model on one or more trial lists.

    Attributes:
        model: Checkpoint.
        fingerprint: Of its weights.
        dims: Widths scored, rising.
        settings: The configuration's section.
        seed: Of the draws of speakers.
        norm: The score normalisation; None for plain cosines.
        calibration: By which scores became log-likelihood ratios; None where they did not.
        trials: By list, in order.
        target_eer: The target that a width was sought for; None for no search.
        target_widths: What was found, by list.
        scored: The scores themselves, by list.
    """

    model: Path
    fingerprint: str
    dims: tuple[int, ...]
    settings: EvaluationConfig
    seed: int
    norm: NormRequest | None
    calibration: CalibrationFile | None
    trials: tuple[ListReport, ...]
    target_eer: float | None
    target_widths: tuple[TargetWidth, ...]
    scored: tuple[ScoredList, ...]

    @property
    def scored_as(self) -> ScoredAs:
        """How the scores were made."""
        return ScoredAs.of(self.norm, self.settings.max_seconds)


def report_list(each: ScoredList, wanted: ListRequest, *, baselines: tuple[BaselineResults, ...] = ()) -> ListReport:
    """Return the figures of one scored list, beside those of its baselines.

    Raises:
        UsageError: If a width is not calibrated.
    """
    scored, trials = each.scored, each.trial_list.trials
    if wanted.calibration and (overlap := wanted.calibration.overlap(trials.sha256, scored.speakers)):
        log.warning("%s: %s", trials.path, overlap)
    return ListReport(
        path=trials.path,
        sha256=trials.sha256,
        enrolments_sha256=trials.enrolments_sha256,
        official=each.trial_list.official,
        source=each.trial_list.source,
        audio_root=each.trial_list.audio_root,
        n_target=trials.n_target,
        n_nontarget=trials.n_nontarget,
        n_speakers=scored.n_speakers,
        n_utterances=len(each.trial_list.paths),
        missing=each.trial_list.missing,
        intervals=describe_intervals(scored, wanted.resampling, speakers_from=each.speakers_from),
        results=_results(each, wanted),
        durations=measure_durations(scored, each.cropped, wanted.durations, wanted.p_targets[0]),
        breakdown=tuple(_break_downs(each, wanted.by, wanted.metadata)),
        worst_speakers=worst_speakers(scored),
        errors=confident_errors(scored, trials),
        baselines=baselines,
    )


def check_columns(lists: Sequence[TrialList], columns: Sequence[str], metadata: Metadata | None) -> None:
    """Refuse, before any work, columns that neither a list nor the metadata has.

    Raises:
        UsageError: If there is one.
    """
    for column in columns:
        for each in lists:
            if column_name(column) in each.trials.columns:
                continue
            if metadata is None:
                where = each.trials.path
                raise UsageError(f"no column {column!r} in {where}", "--by", "Give a table with --metadata FILE.")
            metadata.check_column(column)


def smallest_width(path: str, results: Sequence[WidthMetrics], target: float) -> TargetWidth:
    """Return the smallest width whose equal error rate is at most ``target``, in [0, 1]; results rise by width."""
    estimated = next((each.dim for each in results if each.eer <= target), None)
    if any(each.eer_ci is None for each in results):
        return TargetWidth(path, None, estimated, "there are no intervals, so that no width is sure to meet it")
    sure = next((each.dim for each in results if each.eer_ci and each.eer_ci[1] <= target), None)
    reason = None if sure is not None else "no width's interval lies whole at or below it"
    return TargetWidth(path, sure, estimated, reason)


def _results(each: ScoredList, wanted: ListRequest) -> tuple[WidthMetrics, ...]:
    scored, calibration = each.scored, wanted.calibration
    llrs, thresholds = None, None
    if calibration is not None:
        llrs = calibration.llrs(scored.scores, scored.dims, each.shorter_seconds)
        thresholds = [calibration.score_threshold(dim, p_target=wanted.p_targets[0]) for dim in scored.dims]
    return measure_widths(
        scored.scores,
        scored.is_target,
        scored.dims,
        p_targets=wanted.p_targets,
        false_accept_rates=wanted.false_accept_rates,
        resamples=scored.resample(wanted.p_targets, wanted.resampling),
        llrs=llrs,
        calibrated_thresholds=thresholds,
    )


def _break_downs(each: ScoredList, columns: Sequence[str], metadata: Metadata | None) -> Iterator[ColumnBreakdown]:
    """Yield the breakdown by each column: of the trial list where it has one of the name, else of the metadata."""
    trials, scored = each.trial_list.trials, each.scored
    for column in columns:
        if own := trials.columns.get(column_name(column)):
            values = [value or None for value in own]
            yield break_down(scored, column, values, values)
        elif metadata is not None:
            enroll = _values(metadata, column, trials.enroll_ids, scored.enroll_speaker, scored.speakers)
            test = _values(metadata, column, trials.test_ids, scored.test_speaker, scored.speakers)
            yield break_down(scored, column, enroll, test)


def _values(
    metadata: Metadata, column: str, ids: Sequence[str], speakers: NDArray[np.int64], names: Sequence[str]
) -> list[str | None]:
    """Return what the metadata says of one side of each trial, each utterance looked up once."""
    sides = list(zip(ids, speakers.tolist(), strict=True))
    known = {side: metadata.value(column, side[0], names[side[1]]) for side in set(sides)}
    return [known[side] for side in sides]

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
from mrlspk.evaluation.score_files import ScoredAs
from mrlspk.evaluation.score_lists import ScoredList
from mrlspk.evaluation.score_norm import NormRequest
from mrlspk.evaluation.scored_trials import IntervalNote, Resampling, describe_intervals
from mrlspk.evaluation.trial_list import MissingAudio, TrialList
from mrlspk.metrics.width_metrics import WidthMetrics, measure_widths

log = logging.getLogger("mrlspk.evaluation")


@dataclass(frozen=True)
class ListRequest:
    """The requested metrics of a list.

    Attributes:
        p_targets: Priors of the detection cost.
        false_accept_rates: Rates to give thresholds for.
        resampling: How speakers are resampled for intervals.
        durations: Durations of the shorter side; None among them is the whole recording.
        by: Columns of the metadata or of the trial list to break down by.
        metadata: Of utterances or speakers.
        calibration: Turns scores into log-likelihood ratios.
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
    """The metrics of one model on one trial list.

    Attributes:
        path: The list's file, or how its trials were generated.
        sha256: Of the list.
        enrolments_sha256: Of the file of enrolment models; None without one.
        official: The published list that it equals, if any.
        source: Why these trials were chosen.
        audio_root: Folder that its utterance ids are relative to.
        n_target: Target trials.
        n_nontarget: Non-target trials.
        n_speakers: Speakers of all trials.
        n_utterances: Utterances that were embedded.
        missing: Trials left out because audio is missing; None if that is not allowed.
        intervals: The basis of the intervals.
        results: By width, rising.
        durations: By duration of the shorter side.
        breakdown: By column.
        worst_speakers: Speakers with the most errors.
        errors: The most confident errors.
        baselines: The same trials scored by the original embedding; empty unless requested.
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
    """The smallest width that meets a target on one list.

    Attributes:
        path: The list.
        dim: The smallest width whose whole interval is at or below the target; None if there is none.
        dim_by_estimate: The smallest width whose EER is at or below the target, regardless of its interval, or None.
        reason: Why ``dim`` is None; None if it is not.
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
        settings: The `evaluation` section of the configuration.
        seed: Of the resamples.
        speech_detector: Version of the detector of speech; None for whole recordings.
        norm: The score normalisation; None for plain cosines.
        calibration: Turned scores into log-likelihood ratios; None without calibration.
        trials: By list, in order.
        target_eer: Equal error rate that a width should meet; None if not requested.
        target_widths: The smallest width that meets it, by list.
        scored: The scores themselves, by list.
    """

    model: Path
    fingerprint: str
    dims: tuple[int, ...]
    settings: EvaluationConfig
    seed: int
    speech_detector: str | None
    norm: NormRequest | None
    calibration: CalibrationFile | None
    trials: tuple[ListReport, ...]
    target_eer: float | None
    target_widths: tuple[TargetWidth, ...]
    scored: tuple[ScoredList, ...]

    @property
    def scored_as(self) -> ScoredAs:
        """How the scores were made."""
        return ScoredAs.of(self.norm, self.settings, self.speech_detector)


def report_list(each: ScoredList, wanted: ListRequest, *, baselines: tuple[BaselineResults, ...] = ()) -> ListReport:
    """Return the metrics of one scored list, with those of its baselines.

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
        n_utterances=len(each.trial_list.audio),
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
    """Check before any work that a list or the metadata has each column.

    Raises:
        UsageError: If neither has it.
    """
    for column in columns:
        for each in lists:
            if column_name(column) in each.trials.columns:
                continue
            if metadata is None:
                where = each.trials.path
                raise UsageError(
                    f"no column {column!r} in {where}", fix="Give a table with `metadata`.", parameter="by"
                )
            metadata.check_column(column)


def smallest_width(path: str, results: Sequence[WidthMetrics], target: float) -> TargetWidth:
    """Return the smallest width whose equal error rate is at most ``target``, in [0, 1]; results rise by width."""
    estimated = next((each.dim for each in results if each.eer <= target), None)
    if any(each.eer_ci is None for each in results):
        return TargetWidth(path, None, estimated, "without intervals no width is certain to meet it")
    certain = next((each.dim for each in results if each.eer_ci and each.eer_ci[1] <= target), None)
    reason = None if certain is not None else "no width has its whole interval at or below it"
    return TargetWidth(path, certain, estimated, reason)


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
    """Yield the breakdown by each column, of the trial list or else of the metadata."""
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
    """Return the metadata of one side of each trial; each utterance is looked up once."""
    sides = list(zip(ids, speakers.tolist(), strict=True))
    known = {side: metadata.value(column, side[0], names[side[1]]) for side in set(sides)}
    return [known[side] for side in sides]

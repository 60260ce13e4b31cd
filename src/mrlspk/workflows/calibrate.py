"""Fit a calibration on trials and write it beside the checkpoint."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from mrlspk.config import Config
from mrlspk.data.trials import trial_speakers
from mrlspk.errors import DataError, MrlspkError, UsageError
from mrlspk.evaluation.calibration import (
    VERSION,
    Calibration,
    CalibrationTrials,
    CohortRecord,
    Quality,
    WidthCalibration,
)
from mrlspk.evaluation.calibration_file import CalibrationFile, calibration_path, write_calibration
from mrlspk.evaluation.calibration_fit import (
    Crops,
    FittingScores,
    WidthFit,
    fit_widths,
    measurable,
    measure_fit,
    score_for_fit,
)
from mrlspk.evaluation.embedder import EmbeddingSource
from mrlspk.evaluation.run_checkpoints import without_held_out
from mrlspk.evaluation.score_norm import NormRequest, build_norm_request
from mrlspk.evaluation.scored_model import ScoredModel, find_trials, open_scored
from mrlspk.evaluation.scored_trials import MIN_SPEAKERS
from mrlspk.evaluation.trial_list import VALIDATION_TRIALS, TrialList, TrialRequest
from mrlspk.files import OnProgress, UnwrittenError, claimed_file
from mrlspk.inference.model_file import ModelFile
from mrlspk.metrics.dcf import cost_weights

log = logging.getLogger("mrlspk.evaluation")

QUALITY_CROPS: Crops = (2.0, 3.0, 5.0, None)  # default of a calibration by duration


@dataclass(frozen=True)
class CalibrationRequest:
    """The request of a calibration, besides the configuration.

    Attributes:
        trials: Lists to fit it on; none for those of the configuration, of the run that wrote the checkpoint, or of the
            rotation.
        audio_roots: Folders of their audio: none, one for all lists or one each.
        enrolments: Files of enrolment models: none, one for all lists or one each.
        speakers: Speaker labels of vectors that are scored in place of audio.
        dims: Prefix widths, rising; None for all that the model was trained for.
        allow_untrained_dim: Calibrate widths that the model has but was not trained for.
        p_targets: Priors to compute thresholds for; the regression is weighted by the first. None for those of the
            configuration.
        false_accept_rates: Rates to measure thresholds for; None for the measurable ones of the configuration.
        quality: What the ratios depend on besides the score.
        crops: Seconds to crop the test sides to, one after the other; None among them is the whole recording. Empty for
            the default of ``quality``.
        out: File to write; None for the one beside the checkpoint.
        force: Overwrite the file.
    """

    trials: tuple[Path, ...] = ()
    audio_roots: tuple[Path, ...] = ()
    enrolments: tuple[Path, ...] = ()
    speakers: Path | None = None
    dims: tuple[int, ...] | None = None
    allow_untrained_dim: bool = False
    p_targets: tuple[float, ...] | None = None
    false_accept_rates: tuple[float, ...] | None = None
    quality: Quality | None = None
    crops: Crops = ()
    out: Path | None = None
    force: bool = False


@dataclass(frozen=True)
class CalibrateReport:
    """A written calibration; a trial counts once for each crop.

    Attributes:
        model: Checkpoint.
        file: The calibration, and where it is.
        sources: Why each list was chosen.
        n_target: Target trials.
        n_nontarget: Non-target trials.
        n_left_out: Trials with a side too short for a crop.
        results: By width.
        is_written: Whether it could be written.
    """

    model: ModelFile
    file: CalibrationFile
    sources: tuple[str, ...]
    n_target: int
    n_nontarget: int
    n_left_out: int
    results: tuple[WidthFit, ...]
    is_written: bool = True


def calibrate(
    model: ModelFile,
    request: CalibrationRequest,
    *,
    config: Config | None = None,
    device: str = "auto",
    cache_dir: Path | None = None,
    on_progress: OnProgress | None = None,
) -> CalibrateReport:
    """Fit a calibration and write it.

    Args:
        model: Checkpoint, or a file of vectors.
        request: The request.
        config: Its ``evaluation`` section is used.
        device: auto, cpu, cuda, cuda:N or mps.
        cache_dir: Folder of cached embeddings; None for no cache.
        on_progress: Called with (recordings done, all recordings).

    Raises:
        CheckpointError: If the file is not a model.
        UsageError: If the model does not have a width, or parts of the request contradict each other.
        DataError: If a list, an utterance or the cohort cannot be used, or there are too few trials.
        MetricError: If target trials do not score higher, or all scores are nearly equal.
        UnwrittenError: If the file cannot be written in the end; it holds the report.
        MrlspkError: If the file exists and ``force`` is false, or cannot be created.
    """
    out = request.out or calibration_path(model)
    with claimed_file(out, force=request.force) as claim:
        calibration, fitting, sources = _fit(
            model, request, config or Config(), device=device, cache_dir=cache_dir, on_progress=on_progress
        )
        report = CalibrateReport(
            model=model,
            file=CalibrationFile(out, calibration),
            sources=sources,
            n_target=int(np.count_nonzero(fitting.is_target)),
            n_nontarget=int(np.count_nonzero(~fitting.is_target)),
            n_left_out=fitting.n_left_out,
            results=measure_fit(calibration, fitting),
        )
        try:
            write_calibration(claim, calibration)
        except MrlspkError as error:
            raise UnwrittenError(error, replace(report, is_written=False)) from error
    return report


def _fit(
    model: ModelFile,
    request: CalibrationRequest,
    config: Config,
    *,
    device: str,
    cache_dir: Path | None,
    on_progress: OnProgress | None,
) -> tuple[Calibration, FittingScores, tuple[str, ...]]:
    """Score the trials, and fit a calibration to them; return the sources of the trials too."""
    if model.is_vectors and (request.quality or request.crops):
        parameter = "quality" if request.quality else "durations"
        raise UsageError("the durations of vectors are unknown", fix="Leave it out.", parameter=parameter)
    asked = TrialRequest(request.trials, request.audio_roots, request.enrolments, None, request.speakers)
    judged = without_held_out(model, asked, config)
    open_file = partial(
        open_scored,
        settings=config.evaluation,
        device=device,
        cache_dir=cache_dir,
        speakers=request.speakers,
        on_progress=on_progress,
    )
    scored = open_file(judged)
    embedder, settings = scored.embedder, scored.settings
    dims = scored.choose_dims(request.dims, allow_untrained=request.allow_untrained_dim)
    lists = _find_lists(asked, scored, config)
    _check_repeats(lists)
    rates = _choose_rates(request.false_accept_rates, settings.false_accept_rates, lists)
    norm = build_norm_request(settings, embedder)
    crops = request.crops or (QUALITY_CROPS if request.quality else (None,))
    fitting = score_for_fit(embedder, lists, dims, crops=crops, norm=norm)
    _check_lengths(fitting, request.quality)
    p_targets = request.p_targets or settings.p_target
    _check_priors(p_targets, fitting)
    widths = fit_widths(
        dims,
        fitting.scores,
        fitting.is_target,
        shorter_seconds=fitting.shorter_seconds if request.quality else None,
        fit_p_target=p_targets[0],
        p_targets=p_targets,
        false_accept_rates=rates,
    )
    calibration = _record(embedder, norm, request, crops, fitting, lists, widths)
    if judged != model:
        known = {"fingerprint": open_file(model).embedder.fingerprint, "scored_with": judged.path.name}
        calibration = calibration.model_copy(update=known)
    return calibration, fitting, tuple(each.source for each in lists)


def _find_lists(asked: TrialRequest, scored: ScoredModel, config: Config) -> tuple[TrialList, ...]:
    """Return the lists to fit on; warn of trials that chose the checkpoint."""
    lists = find_trials(asked, [scored], config)
    if any(Path(each.trials.path).name == VALIDATION_TRIALS for each in lists) and not asked.paths:
        log.warning(
            "fitted on the held-out speakers of the run, which chose its checkpoint: ratios are a little too sure; fit "
            "on `trials` of other speakers, in recordings like those to verify, for decisions that matter"
        )
    return lists


def _check_repeats(lists: Sequence[TrialList]) -> None:
    """Reject the same trials of the same audio twice: each would count double."""
    seen: dict[tuple[str, str | None, Path], TrialList] = {}
    for each in lists:
        trials = each.trials
        first = seen.setdefault((trials.sha256, trials.enrolments_sha256, each.audio_root.resolve()), each)
        if first is not each:
            raise DataError(f"has the same trials as {first.trials.path}", trials.path, "Name one of them.")


def _check_priors(p_targets: Sequence[float], fitting: FittingScores) -> None:
    """Warn if at a prior a single error costs more than deciding without scores."""
    n_target = np.count_nonzero(fitting.is_target)
    n_nontarget = fitting.is_target.size - n_target
    for p_target in p_targets:
        miss, false_accept = cost_weights(p_target)
        for kind, n, cost in (("false accept", n_nontarget, false_accept), ("miss", n_target, miss)):
            if cost > n:
                log.warning(
                    "at prior %g a single %s (of %d trials) costs more than deciding without scores: "
                    "the detection cost is unreliable",
                    p_target,
                    kind,
                    n,
                )


def _choose_rates(
    asked: tuple[float, ...] | None, usual: tuple[float, ...], lists: Sequence[TrialList]
) -> tuple[float, ...]:
    """Return the false-accept rates that the trials can measure.

    Raises:
        DataError: If a requested one is too low.
    """
    n_nontarget = sum(each.trials.n_nontarget for each in lists)
    rates = measurable(asked or usual, n_nontarget)
    for rate in asked or usual:
        if rate in rates:
            continue
        problem = f"a false-accept rate of {rate:g} cannot be measured on {n_nontarget} non-target trials"
        if asked:
            raise DataError(problem, fix=f"Give {1 / rate:.0f} or more, or a higher rate.", parameter="far")
        log.warning("%s, so it has no threshold", problem)
    return rates


def _check_lengths(fitting: FittingScores, quality: Quality | None) -> None:
    seconds = fitting.shorter_seconds
    if quality == "duration" and seconds.min() == seconds.max():
        raise DataError(
            f"the shorter side of every trial is {seconds.min():g} s, so the effect of duration is unknown",
            fix="Give longer recordings or several `durations`.",
            parameter="quality",
        )


def _record(
    embedder: EmbeddingSource,
    norm: NormRequest | None,
    request: CalibrationRequest,
    crops: Crops,
    fitting: FittingScores,
    lists: Sequence[TrialList],
    widths: tuple[WidthCalibration, ...],
) -> Calibration:
    seconds = fitting.shorter_seconds
    return Calibration(
        version=VERSION,
        fingerprint=embedder.fingerprint,
        score_norm=norm.kind if norm else "none",
        top_n=norm.top_n if norm else None,
        cohort=CohortRecord(path=str(norm.cohort.path.absolute()), fingerprint=norm.cohort.fingerprint)
        if norm
        else None,
        quality=request.quality,
        seconds_range=(float(seconds.min()), float(seconds.max())) if embedder.reads_audio else None,
        crop_seconds=crops,
        fit_p_target=widths[0].priors[0].p_target,
        speech=embedder.speech_mode,
        speech_detector=embedder.speech_version,
        trials=tuple(map(_record_trials, lists)),
        widths=widths,
    )


def _record_trials(trial_list: TrialList) -> CalibrationTrials:
    trials = trial_list.trials
    speakers = tuple(sorted(trial_speakers(trials).names))
    if len(speakers) < MIN_SPEAKERS:
        log.warning("%s has %d speakers, which is few for a calibration of other speakers", trials.path, len(speakers))
    return CalibrationTrials(
        path=trials.path,
        sha256=trials.sha256,
        n_target=trials.n_target,
        n_nontarget=trials.n_nontarget,
        speakers=speakers,
    )

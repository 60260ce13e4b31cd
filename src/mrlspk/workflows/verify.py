"""Decide whether two recordings are of the same speaker."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mrlspk.config import Config
from mrlspk.config.evaluation import SpeechMode
from mrlspk.data.audio.channels import CHANNELS_DIFFER
from mrlspk.data.audio.reader import UPSAMPLED
from mrlspk.data.trials import Trials
from mrlspk.errors import CheckpointError, DataError, UsageError
from mrlspk.evaluation.calibration import Calibration
from mrlspk.evaluation.calibration_file import CalibrationFile, calibrate_command, find_calibration
from mrlspk.evaluation.embedder import Embedder, build_embedder
from mrlspk.evaluation.score_lists import choose_dims
from mrlspk.evaluation.score_norm import NormRequest, ScoreNorm, find_cohort, join_cohort, normalise
from mrlspk.evaluation.score_ranges import known_score_ranges
from mrlspk.evaluation.thresholds import bayes_threshold
from mrlspk.evaluation.trial_cosines import enrolment_side, score_sides, test_side
from mrlspk.files import OnProgress
from mrlspk.inference.backend_registry import load_backend
from mrlspk.inference.model_file import ModelFile
from mrlspk.inference.recording import EmbeddedRecording, Recording
from mrlspk.models.score_ranges import ScoreRanges
from mrlspk.workflows.verify_speech import VerifiedFile, choose_detector, describe_file, explain_no_decision

log = logging.getLogger("mrlspk.evaluation")

LENGTH_TOLERANCE = 1.25  # warn of a shorter side this far outside the range of the calibration


@dataclass(frozen=True)
class Decision:
    """The operating point: the Bayes threshold of a prior or a false-accept rate; the other is None.

    ``is_default`` is True if the caller asked for neither, and the first prior of the calibration is used.
    """

    p_target: float | None
    far: float | None
    is_default: bool = False


@dataclass(frozen=True)
class WidthScore:
    """The score of two recordings at one width.

    Attributes:
        dim: The width.
        cosine: In [-1, 1].
        score: The cosine, or the normalised score.
        threshold: The lowest score that is accepted as the same speaker; None if the width is not calibrated.
        same: Whether it is the same speaker; None if the width is not calibrated or a recording gets no decision.
        llr: Natural-log likelihood ratio of the same speaker against different speakers; None if ``same`` is.
    """

    dim: int
    cosine: float
    score: float
    threshold: float | None
    same: bool | None
    llr: float | None


@dataclass(frozen=True)
class VerifyReport:
    """Two recordings compared.

    Attributes:
        model: Checkpoint.
        fingerprint: Of the model.
        files: The two recordings.
        calibration: None if the model is not calibrated.
        decision: The operating point; None likewise.
        undecided: Why there is no decision on these recordings: one of them is silent or has too little speech.
        scores: At each width.
        score_ranges: Of same-speaker and different-speaker pairs, by width, as the model's file says; empty if it does
            not, and with normalised scores.
        speech: Mode of the speech that was embedded.
        speech_detector: Version of its detector; None for whole recordings.
    """

    model: ModelFile
    fingerprint: str
    files: tuple[VerifiedFile, ...]
    calibration: CalibrationFile | None
    decision: Decision | None
    undecided: str | None
    scores: tuple[WidthScore, ...]
    score_ranges: tuple[ScoreRanges, ...]
    speech: SpeechMode
    speech_detector: str | None


def verify(
    model: ModelFile,
    first: Path,
    second: Path,
    *,
    config: Config | None = None,
    dims: tuple[int, ...] | None = None,
    p_target: float | None = None,
    far: float | None = None,
    calibration: Path | None = None,
    cohort: Path | None = None,
    speech: SpeechMode | None = None,
    allow_untrained_dim: bool = False,
    device: str = "auto",
    cache_dir: Path | None = None,
    on_progress: OnProgress | None = None,
) -> VerifyReport:
    """Return the scores of two recordings and, if the model is calibrated, the decisions.

    A recording that is quiet, or has less than a second of speech, gets no decision: its embedding says little about a
    voice. Nor does a recording that is mostly pauses if the calibration was fitted on whole recordings.

    Args:
        model: Checkpoint.
        first: Audio file.
        second: Audio file.
        config: Its ``evaluation`` section is used.
        dims: Prefix widths, rising; None for all that the model was trained for.
        p_target: Decide at this prior of the same speaker; None for the first of the calibration or for ``far``.
        far: Decide at this false-accept rate, which the calibration must have measured.
        calibration: Calibration file; None for the one beside the model, if it exists.
        cohort: Of normalised scores; None for the path in the calibration.
        speech: Mode of the speech to embed; None for the calibration's, or ``auto`` without one.
        allow_untrained_dim: Score widths that the model has but was not trained for.
        device: auto, cpu, cuda, cuda:N or mps.
        cache_dir: Folder of cached embeddings of the cohort; None for no cache.
        on_progress: Called with (recordings done, all recordings).

    Raises:
        CheckpointError: If the model or its calibration cannot be used, or a threshold is requested without one.
        UsageError: If the model does not have a width, the calibration does not have the threshold, or it was fitted
            with another mode of speech.
        DataError: If a recording cannot be embedded.
    """
    if p_target is not None and far is not None:
        raise UsageError("expected either a prior or a false-accept rate", fix="Give either `p_target` or `far`.")
    loaded = load_backend(model, device=device)
    backend = loaded.backend
    widths = choose_dims(backend.dims, dims, allow_untrained=allow_untrained_dim, model=model)
    settings = (config or Config()).evaluation
    found = find_calibration(model, backend.fingerprint, calibration, metadata=loaded.metadata)
    ranges = known_score_ranges(loaded, model.path)
    decision = _decide(model, found, p_target, far)
    detector = choose_detector(speech, found, model)
    embedder = replace(build_embedder(backend, settings, cache_dir=cache_dir, on_progress=on_progress), speech=detector)
    embedded = _embed(embedder, first, second)
    norm = _score_norm(found, cohort, embedder)
    cosines, scores = _score({name: each.vector for name, each in embedded.items()}, widths, norm)
    seconds = min(each.embedded_seconds for each in embedded.values())
    files = tuple(
        describe_file(str(path), embedder.source_of(path), each, decides=found is not None)
        for path, each in zip((first, second), embedded.values(), strict=True)
    )
    undecided = explain_no_decision(files)
    _warn_of_channels(files)
    if undecided is None:
        _warn(found, widths, seconds)
        if found is not None:
            _warn_of_rates(files)
            _warn_of_bounds(found.content, decision)
    judged = tuple(
        _judge(dim, cosine, score, seconds, found, decision)
        for dim, cosine, score in zip(widths, cosines.tolist(), scores.tolist(), strict=True)
    )
    if undecided is not None:
        log.warning("no decision: %s", undecided)
        judged = tuple(replace(each, same=None, llr=None) for each in judged)
    return VerifyReport(
        model=model,
        fingerprint=embedder.fingerprint,
        files=files,
        calibration=found,
        decision=decision,
        undecided=undecided,
        scores=judged,
        score_ranges=tuple(each for each in ranges if each.dim in widths) if norm is None else (),
        speech=embedder.speech_mode,
        speech_detector=embedder.speech_version,
    )


def _decide(
    model: ModelFile, found: CalibrationFile | None, p_target: float | None, far: float | None
) -> Decision | None:
    if found is None:
        if p_target is None and far is None:
            return None
        raise CheckpointError(
            "this model has no calibration, so no threshold",
            model.path,
            f"To calibrate: {calibrate_command(model)}",
        )
    is_default = False
    if p_target is None and far is None:
        p_target, is_default = found.content.widths[0].priors[0].p_target, True
    return Decision(p_target, far, is_default)


def _embed(embedder: Embedder, first: Path, second: Path) -> dict[str, EmbeddedRecording]:
    """Embed two recordings as ``a`` and ``b``.

    Raises:
        DataError: If one cannot be embedded.
    """
    recordings = {name: Recording(embedder.source_of(path)) for name, path in (("a", first), ("b", second))}
    found = replace(embedder, cache=None).try_embed(recordings.values())
    if found.errors:
        raise DataError("\n".join(dict.fromkeys(found.errors.values())))
    return {name: found.embeddings[each] for name, each in recordings.items()}


def _score_norm(found: CalibrationFile | None, given: Path | None, embedder: Embedder) -> ScoreNorm | None:
    """Return the normalisation that the calibration was fitted with, if any.

    Raises:
        UsageError: If a cohort is given and the calibration is of plain cosines.
        DataError: If the cohort does not exist, or differs from that of the calibration.
    """
    if found is None or found.content.cohort is None or found.content.score_norm == "none":
        if given is not None:
            raise UsageError("the scores are not normalised", fix="Leave `cohort` out.", parameter="cohort")
        return None
    expected, path = found.content.cohort, given or Path(found.content.cohort.path)
    source = find_cohort(path, embedder)
    if source.fingerprint != expected.fingerprint:
        raise DataError(f"is not the cohort of {found.path}", path, f"Use the cohort at {expected.path}.")
    return join_cohort(
        NormRequest(found.content.score_norm, source, found.content.top_n), embedder.embed(source.wanted)
    )


def _score(
    embeddings: dict[str, NDArray[np.float32]], dims: tuple[int, ...], norm: ScoreNorm | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the cosines and the scores, (len(dims),) each, of the two embeddings."""
    trial = Trials(("a",), ("b",), np.array([False]), "two recordings", "")
    enroll, test = enrolment_side(embeddings, trial), test_side(embeddings, trial)
    cosines = score_sides(enroll, test, dims)
    return cosines[0], cosines[0] if norm is None else normalise(cosines, enroll, test, dims, norm)[0]


def _warn(found: CalibrationFile | None, dims: tuple[int, ...], seconds: float) -> None:
    """Warn if the calibration was fitted on recordings of other durations, or lacks a width."""
    if found is None:
        return
    shortest, longest = found.content.seconds_range or (seconds, seconds)
    if seconds * LENGTH_TOLERANCE < shortest or seconds > longest * LENGTH_TOLERANCE:
        log.warning(
            "the shorter recording has %.1f s; the calibration was fitted on %.1f to %.1f s and is less reliable here",
            seconds,
            shortest,
            longest,
        )
    for dim in set(dims) - set(found.content.dims):
        log.warning("width %d is not calibrated, so it has no decision", dim)


def _warn_of_bounds(calibration: Calibration, decision: Decision | None) -> None:
    """Warn if the calibration has too few trials for the prior."""
    if decision is None or decision.p_target is None:
        return
    low, high = calibration.llr_bounds
    if not low <= bayes_threshold(decision.p_target) <= high:
        log.warning(
            "a prior of %g needs more trials than the %d target and %d non-target ones of the calibration: "
            "their likelihood ratios do not reach its threshold, so every pair gets the same answer",
            decision.p_target,
            calibration.n_target,
            calibration.n_nontarget,
        )


def _warn_of_channels(files: Iterable[VerifiedFile]) -> None:
    """Warn of a mix that may hold the voices of two parties."""
    for path in dict.fromkeys(each.path for each in files if CHANNELS_DIFFER in each.warnings):
        log.warning("channels differ in %s: choose `channel=left` or `channel=right` if each has its own speaker", path)


def _warn_of_rates(files: Iterable[VerifiedFile]) -> None:
    """Warn if only one recording has its upper band: cosines of such a pair are lower for the same speaker too."""
    upsampled = [each.path for each in files if any(text.startswith(UPSAMPLED) for text in each.warnings)]
    if len(upsampled) == 1:
        log.warning("only %s is upsampled, which lowers the score: the decision is less reliable", upsampled[0])


def _judge(
    dim: int, cosine: float, score: float, seconds: float, found: CalibrationFile | None, decision: Decision | None
) -> WidthScore:
    if found is None or decision is None or dim not in found.content.dims:
        return WidthScore(dim, cosine, score, None, None, None)
    threshold = found.content.score_threshold(
        dim, p_target=decision.p_target, far=decision.far, shorter_seconds=seconds
    )
    llr = float(found.content.llrs(np.array([[score]]), (dim,), [seconds])[0, 0])
    if threshold is None:
        return WidthScore(dim, cosine, score, None, None, llr)
    # A prior is decided by the clipped ratio, as `eval` does for actDCF: trials that are too few for it accept nobody.
    same = score >= threshold if decision.p_target is None else llr >= bayes_threshold(decision.p_target)
    return WidthScore(dim, cosine, score, threshold, same, llr)

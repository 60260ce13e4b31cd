"""Fit the calibration of an index to the voices in it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mrlspk import __version__
from mrlspk.config.evaluation import SpeechMode
from mrlspk.errors import DataError
from mrlspk.evaluation.calibration import WidthCalibration
from mrlspk.evaluation.calibration_fit import fit_widths
from mrlspk.index.decisions.calibration import IndexCalibration, WidthDecisions
from mrlspk.index.decisions.expected import ExpectedRates, describe_weaknesses, expected_rates, find_look_alikes
from mrlspk.index.decisions.tail import fit_tails
from mrlspk.index.decisions.trials import (
    EnrolledRecordings,
    IndexTrials,
    MakeProfiles,
    Queries,
    concatenate,
    mean_profile,
    own_queries,
    score_trials,
)

MIN_VOICES = 20  # with target trials; also with trials at all
MAX_QUERIES = 2000  # more are drawn from, seeded
FIT_P_TARGET = 0.01  # decisions lie at high thresholds
FIT_NONTARGET = 200_000  # non-target trials that the line is fitted to
MAX_RATIO_ALIKE = 1.25  # seconds that differ by less do not tell how ratios depend on them


class Origin(NamedTuple):
    """What the vectors come from: fingerprint of the model, and which part of each recording was embedded."""

    fingerprint: str | None = None
    speech: SpeechMode = "all"
    speech_detector: str | None = None


@dataclass(frozen=True)
class CalibrationReport:
    """A calibration, what it means for the voices that it was fitted to, and its weak points.

    Attributes:
        calibration: The calibration.
        expected: By width and rate, for the voices of its trials.
        look_alikes: Groups of names whose recordings score like those of one speaker.
        warnings: What makes the rates too good or too bad.
    """

    calibration: IndexCalibration
    expected: tuple[ExpectedRates, ...]
    look_alikes: tuple[tuple[str, ...], ...]
    warnings: tuple[str, ...]


def calibrate(
    enrolled: EnrolledRecordings,
    dims: tuple[int, ...],
    *,
    origin: Origin,
    further: Sequence[Queries] = (),
    cut_seconds: tuple[float, ...] = (),
    make_profiles: MakeProfiles = mean_profile,
    seed: int = 0,
) -> CalibrationReport:
    """Fit ratios and false-accept rates to the voices of an index.

    Every recording is compared with its voice, made again without it, and with the other voices (see `score_trials`).

    Args:
        enrolled: Recordings of the voices, each voice's all.
        dims: Widths, rising.
        origin: Of the vectors.
        further: Other queries: cuts of the recordings, or further recordings.
        cut_seconds: Seconds of speech of the cuts among them.
        make_profiles: Makes the vectors of a voice from those of its recordings, as the index does.
        seed: Of the draw of queries, if there are more than `MAX_QUERIES`.

    Raises:
        DataError: If there are too few voices with target trials.
        MetricError: If target trials do not score higher than others.
    """
    others = [_draw(concatenate([*further]), MAX_QUERIES // 2, seed)] if further else []
    own = _draw(own_queries(enrolled), MAX_QUERIES - sum(map(len, others)), seed)
    queries = concatenate([own, *others])
    trials = score_trials(enrolled, queries, dims, make_profiles=make_profiles)
    is_target = ~np.isnan(trials.target[:, 0])
    target_voices = np.unique(queries.voice_index[is_target])
    across_voices = np.unique(queries.voice_index[trials.is_across])
    _check_voices(len(target_voices), enrolled)
    seconds = queries.speech_seconds
    lines = _fit_lines(dims, trials, seconds, seed)
    pairs = _pairs(queries, enrolled.n_voices)
    widths = tuple(
        WidthDecisions(line=line, tails=fit_tails(_ratios(line, scores, seconds), pairs))
        for line, scores in zip(lines, trials.others, strict=True)
    )
    calibration = IndexCalibration(
        version=1,
        fingerprint=origin.fingerprint,
        speech=origin.speech,
        speech_detector=origin.speech_detector,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        mrlspk_version=__version__,
        n_voices=enrolled.n_voices,
        n_target_voices=len(target_voices),
        n_across_folders=len(across_voices),
        n_target=int(is_target.sum()),
        n_nontarget=int(np.count_nonzero(~np.isnan(trials.others[0]))),
        cut_seconds=cut_seconds,
        seconds_range=(float(seconds.min()), float(seconds.max())),
        typical_seconds=float(np.median(seconds)),
        widths=widths,
    )
    look_alikes = find_look_alikes(enrolled, queries, trials)
    return CalibrationReport(
        calibration,
        expected_rates(calibration, trials, seconds),
        look_alikes,
        tuple(describe_weaknesses(calibration, enrolled, np.setdiff1d(target_voices, across_voices), look_alikes)),
    )


def _draw(queries: Queries, most: int, seed: int) -> Queries:
    if len(queries) <= most:
        return queries
    return queries.take(np.sort(np.random.default_rng(seed).choice(len(queries), most, replace=False)))


def _check_voices(n_target_voices: int, enrolled: EnrolledRecordings) -> None:
    if n_target_voices >= MIN_VOICES:
        return
    raise DataError(
        f"a calibration needs {MIN_VOICES} voices with a recording to test and another to compare it with, "
        f"got {n_target_voices} of {enrolled.n_voices} voices",
        fix="Add further recordings to the voices, or give a `folder` of further recordings, a subfolder for each.",
    )


def _fit_lines(
    dims: tuple[int, ...], trials: IndexTrials, seconds: NDArray[np.float64], seed: int
) -> tuple[WidthCalibration, ...]:
    """Return the line of each width; it depends on the query's seconds if they vary."""
    target = ~np.isnan(trials.target[:, 0])
    query, voice = np.nonzero(~np.isnan(trials.others[0]))
    if len(query) > FIT_NONTARGET:
        drawn = np.random.default_rng(seed).choice(len(query), FIT_NONTARGET, replace=False)
        query, voice = query[drawn], voice[drawn]
    return fit_widths(
        dims,
        np.concatenate([trials.target[target], trials.others[:, query, voice].T.astype(np.float64)]),
        np.arange(target.sum() + len(query)) < target.sum(),
        shorter_seconds=np.concatenate([seconds[target], seconds[query]]) if _vary(seconds) else None,
        fit_p_target=FIT_P_TARGET,
        p_targets=(),
        false_accept_rates=(),
    )


def _ratios(line: WidthCalibration, others: NDArray[np.float32], seconds: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the ratios of non-target trials, (queries, voices), NaN with the own voice."""
    bias = np.broadcast_to(line.bias(np.log(seconds)), seconds.shape)
    return np.asarray(line.scale * others.astype(np.float64) + bias[:, None])


def _vary(seconds: NDArray[np.float64]) -> bool:
    return bool(seconds.max() > MAX_RATIO_ALIKE * seconds.min())


def _pairs(queries: Queries, n_voices: int) -> NDArray[np.intp]:
    """Return a number for each pair of voices, (queries, voices); each query of a voice not enrolled is its own."""
    strangers = n_voices + np.arange(len(queries))
    asking = np.where(queries.voice_index < 0, strangers, queries.voice_index)[:, None]
    asked = np.arange(n_voices)
    return np.minimum(asking, asked) * (n_voices + len(queries)) + np.maximum(asking, asked)

"""Tell what a calibration means for the voices of its index: rates, names that sound alike, weak points."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components

from mrlspk.index.decisions.calibration import IndexCalibration
from mrlspk.index.decisions.trials import EnrolledRecordings, IndexTrials, Queries

EXPECTED_RATES = (0.001, 0.01, 0.1)
FEW_VOICES = 100  # in simulations the rate of 25 voices is right within a factor of 3, of 200 within 2
SHOWN_GROUPS = 5
SESSION_PARTS = 2  # as many / has an id that names a session: speaker/session/file


@dataclass(frozen=True)
class ExpectedRates:
    """What a threshold for all voices does on the trials of the calibration.

    Attributes:
        dim: Width.
        false_accept_rate: The rate asked for, told as 1 - (1 - FAR)^N.
        measured: Share of the queries that a voice other than the own accepts; None if it would be less than one query.
        miss_rate: Share of the target trials below the threshold.
        is_extrapolated: As of `Threshold`.
    """

    dim: int
    false_accept_rate: float
    measured: float | None
    miss_rate: float
    is_extrapolated: bool


def expected_rates(
    calibration: IndexCalibration, trials: IndexTrials, seconds: NDArray[np.float64]
) -> tuple[ExpectedRates, ...]:
    """Return the rates by width, at `EXPECTED_RATES`."""
    found = []
    is_target = ~np.isnan(trials.target[:, 0])
    for place, dim in enumerate(calibration.dims):
        line = calibration.width(dim).line
        bias = np.broadcast_to(line.bias(np.log(seconds)), seconds.shape)
        highest = line.scale * np.nanmax(trials.others[place], axis=1) + bias
        own = (line.scale * trials.target[:, place] + bias)[is_target]
        for rate in EXPECTED_RATES:
            threshold = calibration.threshold(rate, calibration.n_voices - 1, dim, None)
            measured = float(np.mean(highest >= threshold.llr)) if rate * len(seconds) >= 1 else None
            missed = float(np.mean(own < threshold.llr))
            found.append(ExpectedRates(dim, rate, measured, missed, threshold.is_extrapolated))
    return tuple(found)


def find_look_alikes(
    enrolled: EnrolledRecordings, queries: Queries, trials: IndexTrials
) -> tuple[tuple[str, ...], ...]:
    """Return groups of voices of which each scores as high with another as half of the voices with themselves.

    The score is the mean of their recordings at the widest width.
    """
    asking = queries.voice_index >= 0
    sums = np.zeros((enrolled.n_voices, enrolled.n_voices))
    np.add.at(sums, queries.voice_index[asking], np.nan_to_num(trials.others[-1][asking]))
    counts = np.bincount(queries.voice_index[asking], minlength=enrolled.n_voices)[:, None]
    mean = (sums + sums.T) / np.maximum(counts + counts.T, 1)
    alike = mean >= np.nanmedian(trials.target[:, -1])
    np.fill_diagonal(alike, val=False)
    _, group = connected_components(alike, directed=False)
    sizes = np.bincount(group)
    return tuple(
        tuple(enrolled.names[each] for each in np.flatnonzero(group == number)) for number in np.flatnonzero(sizes > 1)
    )


def describe_weaknesses(
    calibration: IndexCalibration,
    enrolled: EnrolledRecordings,
    one_session: NDArray[np.intp],
    look_alikes: tuple[tuple[str, ...], ...],
) -> Iterator[str]:
    """Yield what makes the rates too good or too bad.

    Args:
        calibration: Just fitted.
        enrolled: The recordings that it was fitted to.
        one_session: Places of voices that were compared within one session only.
        look_alikes: Groups of names.
    """
    if calibration.n_target_voices < FEW_VOICES:
        yield (
            f"fitted to the recordings of {calibration.n_target_voices} voices: the true rate of false accepts may be "
            "three times the one that is told; calibrate again with more voices, or check it with `evaluate`"
        )
    yield from _describe_sessions(calibration.n_target_voices, enrolled, one_session)
    if look_alikes:
        shown = "; ".join(", ".join(group) for group in look_alikes[:SHOWN_GROUPS])
        more = f"; and {len(look_alikes) - SHOWN_GROUPS} more groups" if len(look_alikes) > SHOWN_GROUPS else ""
        yield (
            f"these voices score like one speaker: {shown}{more}. If they are, keep one of each group and calibrate "
            "again: they raise the thresholds, and more speakers are called unknown"
        )


def _describe_sessions(n_voices: int, enrolled: EnrolledRecordings, one_session: NDArray[np.intp]) -> Iterator[str]:
    """Yield that most voices have recordings of one session, as far as folders or ids speaker/session/file say so."""
    sources = [[enrolled.sources[row] for row in enrolled.rows_of[voice]] for voice in one_session]
    n_folders = sum(all(Path(each).is_absolute() for each in of_voice) for of_voice in sources)
    n_named = sum(all(each.count("/") >= SESSION_PARTS for each in of_voice) for of_voice in sources)
    scores = "true speakers of another day score lower, and are called unknown more often than told"
    if 2 * n_folders > n_voices:
        where = f"the recordings of {n_folders} of {n_voices} voices lie in one folder each"
        yield f"{where}: if they are of one session, {scores}"
    elif 2 * n_named > n_voices:
        where = f"the ids of {n_named} of {n_voices} voices name one session each, in what is before their last /"
        yield f"{where}: {scores}"

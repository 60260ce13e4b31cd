"""Measure what the decisions of an index do on searches whose right answers are known."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrlspk.index.decisions.calibration import IndexCalibration
from mrlspk.index.decisions.searches import Searches
from mrlspk.index.decisions.speaker_resamples import Mask, SpeakerResamples
from mrlspk.metrics.significance import Interval

SECONDS_EDGES = (3.0, 6.0)  # of speech: short, middling, long

type Seconds = tuple[float, float | None]


@dataclass(frozen=True)
class DecisionRates:
    """What the decisions of `decide` do, as shares of queries; None where there is no such query.

    Attributes:
        seconds: Speech of the queries, above and up to; None for all.
        n_enrolled: Queries of enrolled speakers.
        n_unknown: Queries of others.
        false_accept_rate: Told: 1 - (1 - FAR)^N.
        measured_false_accept_rate: Measured: of others, accepted or called ambiguous.
        measured_false_accept_rate_ci: Its interval over speakers.
        accepted: Of enrolled speakers, accepted as themselves.
        accepted_ci: Its interval over speakers.
        misidentified: Of enrolled speakers, accepted as another.
        ambiguous: Of enrolled speakers.
        unknown: Of enrolled speakers.
    """

    seconds: Seconds | None
    n_enrolled: int
    n_unknown: int
    false_accept_rate: float
    measured_false_accept_rate: float | None
    measured_false_accept_rate_ci: Interval | None
    accepted: float | None
    accepted_ci: Interval | None
    misidentified: float | None
    ambiguous: float | None
    unknown: float | None


@dataclass(frozen=True, eq=False)
class Verdicts:
    """The decisions on all queries at one width, each (queries,)."""

    is_accepted: Mask
    is_ambiguous: Mask


def decide_all(
    ratios: Searches, place: int, calibration: IndexCalibration, *, false_accept_rate: float, margin: float
) -> Verdicts:
    """Return the decisions that `decide` makes at the width in ``place``, from ratios in place of cosines."""
    dim = ratios.dims[place]
    limit = calibration.threshold(false_accept_rate, max(ratios.n_voices, 1), dim, None).llr
    best, second = ratios.best[:, place], ratios.second[:, place]
    is_found = best >= limit
    is_near = np.zeros(len(best), dtype=bool)
    is_near[is_found] = (second[is_found] >= limit) & (best[is_found] - second[is_found] < margin)
    return Verdicts(is_found & ~is_near, is_near)


def measure_decisions(
    searches: Searches, place: int, verdicts: Verdicts, resamples: SpeakerResamples, *, false_accept_rate: float
) -> Iterator[DecisionRates]:
    """Yield the rates of all queries, then of short, middling and long ones if there are several kinds."""
    everything = np.ones(len(searches), dtype=bool)
    groups: list[tuple[Seconds | None, Mask]] = [(None, everything), *_by_seconds(searches.speech_seconds)]
    enrolled, right = searches.is_enrolled, searches.is_right[:, place]
    for seconds, rows in groups:
        mated, others = rows & enrolled, rows & ~enrolled
        accepted = resamples.share(verdicts.is_accepted & right, mated) if mated.any() else None
        false = resamples.share(verdicts.is_accepted | verdicts.is_ambiguous, others) if others.any() else None
        yield DecisionRates(
            seconds=seconds,
            n_enrolled=int(mated.sum()),
            n_unknown=int(others.sum()),
            false_accept_rate=false_accept_rate,
            measured_false_accept_rate=false and false[0],
            measured_false_accept_rate_ci=false and false[1],
            accepted=accepted and accepted[0],
            accepted_ci=accepted and accepted[1],
            misidentified=_share(verdicts.is_accepted & ~right, mated),
            ambiguous=_share(verdicts.is_ambiguous, mated),
            unknown=_share(~verdicts.is_accepted & ~verdicts.is_ambiguous, mated),
        )


def _share(hits: Mask, rows: Mask) -> float | None:
    return float(hits[rows].mean()) if rows.any() else None


def _by_seconds(seconds: NDArray[np.float64]) -> list[tuple[Seconds, Mask]]:
    """Return the queries of each range of seconds that has some; none if there is one range."""
    edges = [0.0, *SECONDS_EDGES, np.inf]
    found: list[tuple[Seconds, Mask]] = []
    for low, high in zip(edges, edges[1:], strict=False):
        rows = (seconds > low) & (seconds <= high)
        if rows.any():
            found.append(((low, None if high == np.inf else high), rows))
    return found if len(found) > 1 else []

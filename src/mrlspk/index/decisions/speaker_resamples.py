"""Draw speakers again to find intervals of rates of identification."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mrlspk.metrics.significance import WEIGHTS_PER_BLOCK, Interval, rate_interval

type Mask = NDArray[np.bool_]  # (queries,)


class SpeakerResamples:
    """Resamples of speakers, the enrolled and the others apart; a speaker's queries count together."""

    def __init__(self, speakers: Sequence[str], is_enrolled: Mask, *, n_resamples: int, seed: int) -> None:
        keys = [(name, bool(enrolled)) for name, enrolled in zip(speakers, is_enrolled, strict=True)]
        places = {key: place for place, key in enumerate(dict.fromkeys(keys))}
        self._speaker = np.array([places[key] for key in keys])
        kinds = np.array([enrolled for _, enrolled in places], dtype=bool)
        rng = np.random.default_rng(seed)
        self._counts = np.zeros((n_resamples, len(places)))
        for kind in (True, False):
            if n := int((kinds == kind).sum()):
                self._counts[:, kinds == kind] = rng.multinomial(n, np.full(n, 1 / n), size=n_resamples)

    def share(self, hits: Mask, rows: Mask) -> tuple[float, Interval]:
        """Return the share of some rows, one at least, that are hits, and its interval."""
        n_speakers = self._counts.shape[1]
        found = np.bincount(self._speaker[hits & rows], minlength=n_speakers)
        asked = np.bincount(self._speaker[rows], minlength=n_speakers)
        weight = self._counts @ asked
        drawn = weight > 0
        return self._with_interval(
            float(np.mean(hits[rows])), (self._counts[drawn] @ found) / weight[drawn], int(np.count_nonzero(asked))
        )

    def identified(
        self, best: NDArray[np.float64], is_right: Mask, is_enrolled: Mask, *, false_alarm_rate: float, estimate: float
    ) -> Interval:
        """Return the interval of the identification rate at a false alarm rate; each resample has its own threshold.

        Args:
            best: (queries,), scores.
            is_right: Whether the best voice is the speaker's.
            is_enrolled: Whether the speaker is enrolled.
            false_alarm_rate: At most so many of the others are accepted.
            estimate: The rate on the queries as they are.
        """
        others = np.flatnonzero(~is_enrolled)
        others = others[np.argsort(-best[others], kind="stable")]
        mated = np.flatnonzero(is_enrolled)
        shares = np.empty(len(self._counts))
        step = max(1, WEIGHTS_PER_BLOCK // len(best))
        for start in range(0, len(shares), step):
            weights = self._counts[start : start + step, self._speaker]
            accepted = np.cumsum(weights[:, others], axis=1)
            allowed = accepted <= false_alarm_rate * accepted[:, -1:] * (1 + 1e-9)
            # The first that is one too many, and anything that scores no higher, is rejected.
            limit = np.where(allowed.all(axis=1), -np.inf, best[others[np.argmin(allowed, axis=1)]])
            is_found = is_right[mated] & (best[mated] > limit[:, None])
            shares[start : start + step] = (weights[:, mated] * is_found).sum(axis=1) / weights[:, mated].sum(axis=1)
        return self._with_interval(estimate, shares, len(np.unique(self._speaker[mated])))[1]

    @staticmethod
    def _with_interval(estimate: float, shares: NDArray[np.float64], n_speakers: int) -> tuple[float, Interval]:
        columns = np.stack([shares, np.full_like(shares, estimate)], axis=1)  # pairs of speakers have no part
        return estimate, rate_interval(columns, estimate, n_speakers=n_speakers)

"""Find speakers who are one person under several names."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from mrlspk.evaluation.wrong_speakers.mixture import (
    ITERATIONS,
    LOWER,
    MIN_PROBABILITY,
    START_SHARE,
    TINY,
    UPPER,
    Normal,
    fit_normal,
)
from mrlspk.evaluation.wrong_speakers.voices import Floats, Sums, Voices, typical_within

type Rows = NDArray[np.int64]

SKIPPED_RIVALS, RIVALS = 2, 10  # the nearest may be the same person; the next ones are the scale
SMALLEST_RANGE = 0.1  # of ratios between the rivals and one voice
SPEAKERS_PER_BLOCK = 512
FEWEST_SPEAKERS = 20  # with two utterances, for the spread of their halves


@dataclass(frozen=True)
class SameVoice:
    """Speakers who sound like one.

    Attributes:
        speakers: Two or more, rising.
        probability: Of one voice, of the least likely link between two of them.
    """

    speakers: tuple[int, ...]
    probability: float


class Rivals:
    """The speakers of a corpus, and how alike the nearest others of each are.

    The closeness of two speakers is 0 if their ratio is that of their nearest other speakers, the third to the twelfth,
    and 1 if it is 1: two women of one accent are then no closer than two other speakers, and neither are the nearest of
    a hundred thousand speakers than those of a hundred.
    """

    def __init__(self, sums: Sums) -> None:
        self.sums, self.typical = sums, typical_within(sums)
        self._means, self._within = sums.means, sums.within(self.typical)
        self.nearness = np.concatenate([nearness(ratios) for _, ratios in self._blocks()])

    def __len__(self) -> int:
        return len(self.sums.counts)

    def closeness(self) -> Iterator[tuple[Rows, Floats]]:
        """Yield speakers, and their closeness to all speakers (some, speakers): -inf to themselves."""
        for speakers, ratios in self._blocks():
            yield speakers, (_closer(ratios, self.nearness[speakers, None]) + _closer(ratios, self.nearness)) / 2

    def of_halves(self, first: Sums, second: Sums, speakers: Rows) -> Floats:
        """Return the closeness (speakers,) of two halves of some speakers, as if they were two speakers."""
        within = np.sqrt(first.within(self.typical) * second.within(self.typical))
        ratios = np.einsum("gd,gd->g", first.means, second.means) / within
        found = [_closer(ratios, self._nearness_of(half, speakers)) for half in (first, second)]
        return np.asarray(np.mean(found, axis=0))

    def _nearness_of(self, groups: Sums, speakers: Rows) -> Floats:
        blocks = (slice(at, at + SPEAKERS_PER_BLOCK) for at in range(0, len(speakers), SPEAKERS_PER_BLOCK))
        return np.concatenate([nearness(self._ratios(groups.take(each), speakers[each])) for each in blocks])

    def _blocks(self) -> Iterator[tuple[Rows, Floats]]:
        for start in range(0, len(self), SPEAKERS_PER_BLOCK):
            speakers = np.arange(start, min(start + SPEAKERS_PER_BLOCK, len(self)))
            yield speakers, self._ratios(self.sums.take(speakers), speakers)

    def _ratios(self, groups: Sums, own: Rows) -> Floats:
        """Return the ratios (groups, speakers), with the ``own`` speaker of each at -inf."""
        ratios = groups.means @ self._means.T
        ratios /= np.sqrt(np.outer(groups.within(self.typical), self._within))
        ratios[np.arange(len(own)), own] = -np.inf
        return np.asarray(ratios)


def nearness(ratios: Floats) -> Floats:
    """Return the mean ratio (groups,) to the third to twelfth nearest of the speakers (groups, speakers)."""
    n_nearest = SKIPPED_RIVALS + RIVALS
    nearest = np.sort(np.partition(-ratios, n_nearest - 1, axis=1)[:, :n_nearest], axis=1)
    return np.asarray(-nearest[:, SKIPPED_RIVALS:].mean(axis=1))


@dataclass(frozen=True)
class Sameness:
    """How likely two speakers are one voice, by their closeness and by how many recordings they have.

    Attributes:
        same: Closeness of two halves of a speaker, of all sizes.
        different: Closeness of each speaker with the closest other one.
        variance: Of ``same`` for very many recordings.
        variance_per_size: More of it, times the sum of 1 / recordings of both.
        sizes: Range of that sum in which the variance was measured; it is not extrapolated.
        share: Of the speakers that are one voice with another.
    """

    same: Normal
    different: Normal
    variance: float
    variance_per_size: float
    sizes: tuple[float, float]
    share: float

    def probability(self, closeness: Floats, size: Floats) -> Floats:
        """Return the probability of one voice by closeness and by the sum of 1 / recordings of both."""
        inner = np.clip(closeness, self.different.mean, self.same.mean)
        deviation = np.sqrt(self.variance + self.variance_per_size * np.clip(size, *self.sizes))
        same = self.share * Normal(self.same.mean, deviation).density(inner)
        different = (1 - self.share) * self.different.density(inner)
        return np.asarray(same / np.maximum(same + different, TINY))


def fit_sameness(
    voices: Voices, rivals: Rivals, groups: Sequence[Rows], sessions: NDArray[np.int64], *, seed: int
) -> Sameness | None:
    """Return how likely two speakers are one voice; None if too few speakers have two utterances.

    Args:
        voices: The embeddings.
        rivals: Of the speakers.
        groups: The utterances of each speaker, without those of other voices.
        sessions: (utterances,), session of each: halves are of different sessions where a speaker has several.
        seed: Of the halves.
    """
    halves = [(speaker, *halve(rows, sessions, seed)) for speaker, rows in enumerate(groups) if len(rows) > 1]
    if len(halves) < FEWEST_SPEAKERS:
        return None
    speakers, *both = zip(*halves, strict=True)
    first, second = (voices.sums(each) for each in both)
    scores = rivals.of_halves(first, second, np.array(speakers))
    closest = [(closeness.max(axis=1), closeness.argmax(axis=1)) for _, closeness in rivals.closeness()]
    highest, other = (np.concatenate(each) for each in zip(*closest, strict=True))
    sizes = 1 / rivals.sums.counts + 1 / rivals.sums.counts[other]
    same = fit_normal(scores, LOWER)
    variances, measured = _fit_variance(scores - same.mean, 1 / first.counts + 1 / second.counts)
    found = Sameness(same, fit_normal(highest, UPPER), *variances, measured, share=START_SHARE)
    for _ in range(ITERATIONS):
        share = max(float(found.probability(highest, sizes).mean()), 1 / (len(highest) + 1))
        found = replace(found, share=share)
    return found


def _fit_variance(deviations: Floats, sizes: Floats) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return the variance as a line over the sizes, and the range of sizes; a twentieth of outliers counts less."""
    squares = np.minimum(deviations**2, np.quantile(deviations**2, 0.95))
    measured = float(np.quantile(sizes, 0.05)), float(np.quantile(sizes, 0.95))
    inner = np.clip(sizes, *measured)
    spread = float(inner.var())
    slope = max(float(np.mean((inner - inner.mean()) * squares)) / spread, 0.0) if spread > 0 else 0.0
    slope = min(slope, float(squares.mean() / inner.mean()))  # the variance of no noise is not negative
    return (float(squares.mean() - slope * inner.mean()), slope), measured


def halve(rows: Rows, sessions: NDArray[np.int64], seed: int) -> tuple[Rows, Rows]:
    """Return two halves of the utterances of a speaker: of different sessions if there are several."""
    rng = np.random.default_rng([seed, int(rows[0])])
    units = np.unique(sessions[rows])
    if len(units) == 1:
        drawn = rng.permutation(rows)
        return drawn[: len(rows) // 2], drawn[len(rows) // 2 :]
    chosen = rng.permutation(units)[: len(units) // 2]
    is_first = np.isin(sessions[rows], chosen)
    return rows[is_first], rows[~is_first]


def find_same_voices(rivals: Rivals, sameness: Sameness) -> tuple[SameVoice, ...]:
    """Return groups of speakers who are linked by being likelier one voice than not."""
    sizes = 1 / rivals.sums.counts
    parts = list[tuple[Rows, Rows, Floats]]()
    for speakers, closeness in rivals.closeness():
        probability = sameness.probability(closeness, sizes[speakers, None] + sizes)
        row, other = np.nonzero((probability >= MIN_PROBABILITY) & (speakers[:, None] < np.arange(len(rivals))))
        parts.append((speakers[row], other, probability[row, other]))
    one, other, probability = (np.concatenate(each) for each in zip(*parts, strict=True))
    graph = coo_array((probability, (one, other)), shape=(len(rivals), len(rivals)))
    _, group = connected_components(graph, directed=False)
    return tuple(
        SameVoice(tuple(np.flatnonzero(group == number).tolist()), float(probability[group[one] == number].min()))
        for number in np.unique(group[one])
    )


def _closer(ratios: Floats, near: Floats) -> Floats:
    return np.asarray((ratios - near) / np.maximum(1 - near, SMALLEST_RANGE))

"""Find speakers who are one person under several names."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from mrlspk.evaluation.wrong_speakers.mixture import LOWER, UPPER, Parting, fit_normal, part
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
        closeness: Of the farthest two that are linked: 0 as alike as the nearest other speakers, 1 as one voice.
    """

    speakers: tuple[int, ...]
    closeness: float


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


def part_speakers(
    voices: Voices, rivals: Rivals, groups: Sequence[Rows], sessions: NDArray[np.int64], *, seed: int
) -> Parting | None:
    """Return the closeness from which on two speakers are one voice; None if too few speakers have two utterances.

    One voice: two halves of each speaker. Two voices: each speaker with the closest other one.

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
    speakers, first, second = zip(*halves, strict=True)
    scores = rivals.of_halves(voices.sums(first), voices.sums(second), np.array(speakers))
    highest = np.concatenate([closeness.max(axis=1) for _, closeness in rivals.closeness()])
    return part(highest, same=fit_normal(scores, LOWER), different=fit_normal(highest, UPPER), rare="same")


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


def find_same_voices(rivals: Rivals, threshold: float) -> tuple[SameVoice, ...]:
    """Return groups of speakers who are linked by a closeness of at least ``threshold``."""
    links = list[tuple[int, int, float]]()
    for speakers, closeness in rivals.closeness():
        for row, other in zip(*np.nonzero(closeness >= threshold), strict=True):
            if speakers[row] < other:
                links.append((int(speakers[row]), int(other), float(closeness[row, other])))
    if not links:
        return ()
    one, other, closeness = (np.array(each) for each in zip(*links, strict=True))
    _, group = connected_components(
        coo_array((closeness, (one, other)), shape=(len(rivals), len(rivals))), directed=False
    )
    return tuple(
        SameVoice(tuple(np.flatnonzero(group == number).tolist()), float(closeness[group[one] == number].min()))
        for number in np.unique(group[one])
    )


def _closer(ratios: Floats, near: Floats) -> Floats:
    return np.asarray((ratios - near) / np.maximum(1 - near, SMALLEST_RANGE))

"""Find utterances that another voice speaks than the rest of their speaker's utterances."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import cut_tree, linkage

from mrlspk.evaluation.wrong_speakers.mixture import LOWER, UPPER, Parting, fit_normal, part
from mrlspk.evaluation.wrong_speakers.voices import Floats, Sums, Voices, typical_within

FEWEST_UTTERANCES = 3  # of a speaker: two that differ do not tell which of them is wrong
FEWEST_TESTED = 100  # utterances of such speakers, for the spread of their ratios
MOST_COMPARED = 1000  # utterances of a speaker that are compared with each other; of more, parts of that size


@dataclass(frozen=True)
class OtherVoice:
    """Utterances under one speaker whose voice is another than that of most of its utterances.

    Attributes:
        speaker: Under whom they are.
        rows: The utterances.
        ratio: Of the mean cosine with the speaker's other utterances to that within the groups.
        nearest: The speaker who sounds most like them.
        nearest_ratio: The ratio to that speaker.
    """

    speaker: int
    rows: NDArray[np.int64]
    ratio: float
    nearest: int
    nearest_ratio: float


def part_utterances(voices: Voices, sums: Sums, *, seed: int) -> Parting | None:
    """Return the ratio below which an utterance is of another voice than its speaker's; None if there are too few.

    One voice: each utterance against the others of its speaker. Two voices: each against a random other speaker.
    """
    typical = typical_within(sums)
    within, means = sums.within(typical), sums.means
    drawn = np.random.default_rng(seed).integers(1, voices.n_speakers, len(voices.vectors))
    own, other = list[Floats](), list[Floats]()
    for rows in voices.blocks():
        unit, speaker = voices.unit(rows), voices.speaker_index[rows]
        another = (speaker + drawn[rows]) % voices.n_speakers
        other.append(np.einsum("rd,rd->r", unit, means[another]) / within[another])
        tested = sums.counts[speaker] >= FEWEST_UTTERANCES
        unit, speaker = unit[tested], speaker[tested]
        rest = Sums(sums.vectors[speaker] - unit, sums.counts[speaker] - 1)
        own.append(np.einsum("rd,rd->r", unit, rest.means) / rest.within(typical))
    scores = np.concatenate(own)
    if len(scores) < FEWEST_TESTED:
        return None
    same, different = fit_normal(scores, LOWER), fit_normal(np.concatenate(other), UPPER)
    return part(scores, same=same, different=different, rare="different")


def find_other_voices(voices: Voices, sums: Sums, threshold: float, *, seed: int) -> Iterator[OtherVoice]:
    """Yield the utterances of other voices, speaker by speaker.

    The utterances of a speaker are split in two by average linkage of their cosines. If the ratio between the groups
    is below ``threshold``, the smaller group is of another voice, and the larger group is looked at again.
    """
    typical = typical_within(sums)
    rng = np.random.default_rng(seed)
    means, within = sums.means, sums.within(typical)
    for speaker, rows in enumerate(voices.rows):
        if len(rows) < FEWEST_UTTERANCES:
            continue
        parts = np.array_split(rng.permutation(rows), -(-len(rows) // MOST_COMPARED))
        for some in parts if len(parts) > 1 else [rows]:
            unit = voices.unit(some)
            for group, ratio in _split_off(unit, threshold, typical):
                ratios = means @ unit[group].mean(0) / within
                ratios[speaker] = -np.inf
                nearest = int(ratios.argmax())
                yield OtherVoice(speaker, some[group], ratio, nearest, float(ratios[nearest]))


def _split_off(unit: Floats, threshold: float, typical: float) -> Iterator[tuple[NDArray[np.int64], float]]:
    """Yield the groups that are split off, and their ratios, until those that remain are of one voice."""
    rows = np.arange(len(unit))
    while len(rows) >= FEWEST_UTTERANCES:
        cosines = unit[rows] @ unit[rows].T
        upper = cosines[np.triu_indices(len(rows), 1)]
        label = cut_tree(linkage(np.maximum(1 - upper, 0), "average"), 2)[:, 0]
        is_smaller = label == (1 if 2 * np.count_nonzero(label) <= len(label) else 0)
        groups = Sums(
            np.stack([unit[rows[~is_smaller]].sum(0), unit[rows[is_smaller]].sum(0)]),
            np.array([np.count_nonzero(~is_smaller), np.count_nonzero(is_smaller)]),
        )
        cross = float(groups.means[0] @ groups.means[1])
        ratio = cross / _within_both(groups, typical)
        if ratio >= threshold:
            return
        yield rows[is_smaller], ratio
        rows = rows[~is_smaller]


def _within_both(groups: Sums, typical: float) -> float:
    """Return the mean cosine within two groups, by their pairs of recordings."""
    return float(np.average(groups.within(typical), weights=np.maximum(groups.counts * (groups.counts - 1), 1e-9)))

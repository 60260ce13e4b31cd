"""Search a corpus for wrong speakers: first utterances of another voice, then one voice under several speakers."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrlspk.evaluation.wrong_speakers.mixture import Parting
from mrlspk.evaluation.wrong_speakers.one_voice import Rivals, Sameness, SameVoice, find_same_voices, fit_sameness
from mrlspk.evaluation.wrong_speakers.two_voices import OtherVoice, find_other_voices, part_utterances
from mrlspk.evaluation.wrong_speakers.voices import Voices

FEWEST_SPEAKERS = 20  # whose mean is the centre, and among whom the third to twelfth nearest are some and not all


@dataclass(frozen=True)
class WrongSpeakers:
    """What the embeddings of a corpus say of its speakers.

    Attributes:
        two_voices: Where the utterances of a speaker part; None if too few speakers have enough utterances.
        one_voice: How likely speakers are one voice; None if too few have two utterances.
        other_voices: Utterances of another voice than the rest of their speaker's.
        same_voices: Speakers who are one voice.
    """

    two_voices: Parting | None
    one_voice: Sameness | None
    other_voices: tuple[OtherVoice, ...]
    same_voices: tuple[SameVoice, ...]


def search_voices(voices: Voices, sessions: NDArray[np.int64], *, seed: int = 0) -> WrongSpeakers:
    """Return the wrong speakers of a corpus of at least `FEWEST_SPEAKERS`.

    Memory grows with the speakers, not with the utterances, beside what ``voices`` takes.

    Args:
        voices: The embeddings.
        sessions: (utterances,), session of each, numbered over all speakers.
        seed: Of the random pairs and halves that the thresholds are fitted to.
    """
    sums = voices.sums()
    two = part_utterances(voices, sums, seed=seed)
    others = () if two is None else tuple(find_other_voices(voices, sums, two.threshold, seed=seed))
    wrong = np.zeros(len(voices.vectors), dtype=bool)
    for each in others:
        wrong[each.rows] = True
    groups = tuple(rows[~wrong[rows]] for rows in voices.rows)
    rivals = Rivals(voices.sums(groups))
    one = fit_sameness(voices, rivals, groups, sessions, seed=seed)
    return WrongSpeakers(two, one, others, () if one is None else find_same_voices(rivals, one))

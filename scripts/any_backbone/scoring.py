"""Score held-out trials and development lists with a fitted recipe."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from any_backbone.forms import Embed
from any_backbone.speech import Rows, Speech, Trials
from mrlspk.data.trials import read_trials, trial_speakers
from mrlspk.evaluation.scored_trials import ScoredTrials
from mrlspk.metrics.cosine import prefix_cosine_scores
from mrlspk.metrics.eer import equal_error_rate
from mrlspk.vectors.loading import load_vectors

WIDTHS = 16, 32, 64, 128


@dataclass(frozen=True, eq=False)
class DevelopmentList:
    """A trial list with the directions of its recordings.

    Attributes:
        name: Of the file of vectors.
        is_inside: Whether there is training speech of its corpus.
        directions: (recordings, dim).
        trials: Among them.
        speakers: Numbers (2, trials) of both sides.
        names: Of the speakers.
    """

    name: str
    is_inside: bool
    directions: Rows
    trials: Trials
    speakers: NDArray[np.int64]
    names: tuple[str, ...]

    @classmethod
    def load(cls, trials: Path, vectors: Path, *, is_inside: bool) -> "DevelopmentList":
        """Load a list and its vectors."""
        table, listed = load_vectors(vectors), read_trials(trials)
        row = {name: index for index, name in enumerate(table.ids)}
        enroll, test = (np.array([row[each] for each in side]) for side in (listed.enroll_ids, listed.test_ids))
        rows, speakers = table.vectors.astype(np.float64), trial_speakers(listed)
        return cls(
            name=vectors.stem,
            is_inside=is_inside,
            directions=rows / np.linalg.norm(rows, axis=1, keepdims=True),
            trials=Trials(enroll, test, listed.is_target),
            speakers=np.stack([speakers.enroll_speaker, speakers.test_speaker]),
            names=speakers.names,
        )

    def scored(self, scores: NDArray[np.float64], widths: Sequence[int]) -> ScoredTrials:
        """Return the trials with scores (trials, widths)."""
        return ScoredTrials(tuple(widths), scores, self.trials.is_target, *self.speakers, self.names)


def widths_of(dim: int) -> tuple[int, ...]:
    """Return the widths that are scored."""
    return (*(width for width in WIDTHS if width < dim), dim)


def score(embed: Embed, directions: Rows, trials: Trials, cohort: Speech | None = None) -> NDArray[np.float64]:
    """Return the scores (trials, widths); with a cohort, less each side's mean score against its speakers."""
    rows, widths = embed(directions), widths_of(directions.shape[1])
    scores = prefix_cosine_scores(rows, trials.enroll, trials.test, widths)
    if cohort is None:
        return scores
    known = embed(cohort.directions)
    for column, width in enumerate(widths):
        unit, own = (each[:, :width] / np.linalg.norm(each[:, :width], axis=1, keepdims=True) for each in (known, rows))
        sums = np.zeros((len(cohort.corpus_of), width))
        np.add.at(sums, cohort.speaker, unit)
        mean = own @ (sums / np.bincount(cohort.speaker)[:, None]).mean(axis=0)
        scores[:, column] -= mean[trials.enroll] + mean[trials.test]
    return scores


def error_rates(
    embed: Embed, directions: Rows, conditions: Mapping[str, Trials], cohort: Speech | None = None
) -> dict[str, list[float]]:
    """Return the EER at each width, by condition."""
    return {
        name: [equal_error_rate(column, trials.is_target) for column in score(embed, directions, trials, cohort).T]
        for name, trials in conditions.items()
    }

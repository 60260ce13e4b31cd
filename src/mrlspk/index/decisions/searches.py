"""Describe searches of an index whose right answers are known."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mrlspk.index.decisions.calibration import IndexCalibration

NO_VOICE = -np.inf  # score where no voice was found


@dataclass(frozen=True, eq=False)
class Searches:
    """The best two voices of queries of known speakers, at each width.

    Attributes:
        speakers: (queries,), who speaks.
        is_enrolled: (queries,), whether the speaker is enrolled (a mated search) or not (a non-mated one).
        speech_seconds: (queries,); NaN if unknown.
        dims: Widths, rising.
        best: (queries, widths), score of the best voice; minus infinity if there is none.
        second: (queries, widths), of the next voice.
        is_right: (queries, widths), whether the best voice is the speaker's.
        n_voices: That were searched.
    """

    speakers: Sequence[str]
    is_enrolled: NDArray[np.bool_]
    speech_seconds: NDArray[np.float64]
    dims: tuple[int, ...]
    best: NDArray[np.float64]
    second: NDArray[np.float64]
    is_right: NDArray[np.bool_]
    n_voices: int

    def __len__(self) -> int:
        """Return the number of queries."""
        return len(self.best)

    def as_ratios(self, calibration: IndexCalibration) -> "Searches":
        """Return the searches with log-likelihood ratios in place of cosines."""
        best, second = np.empty_like(self.best), np.empty_like(self.second)
        for place, dim in enumerate(self.dims):
            line = calibration.width(dim).line
            seconds = np.array([calibration.seconds_used(each) for each in self.speech_seconds])
            for scores, ratios in ((self.best, best), (self.second, second)):
                ratios[:, place] = line.scale * scores[:, place] + line.bias(np.log(seconds))
        return replace(self, best=best, second=second)

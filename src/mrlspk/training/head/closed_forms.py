"""Choose between the rotation and the transform that training starts from, by cross-validation over training speakers.

Both are fitted in closed form, so that every training speaker can be held out in turn: several times as many speakers
as are held out of the whole run.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrlspk.rotation.selection import TIE, Fold, SpeakerEmbeddings, score_trials

type Array = NDArray[np.floating]
type Form = Callable[[Array], Array]  # (n, embed_dim) to (n, embed_dim)
type FitForm = Callable[[SpeakerEmbeddings], Form]


@dataclass(frozen=True)
class ClosedForms:
    """The mean log EER of both over folds of training speakers.

    Attributes:
        rotation_mean_log_eer: Over published widths and folds.
        start_mean_log_eer: The same, of the transform.
        n_speakers: Speakers that were held out in turn.
    """

    rotation_mean_log_eer: float
    start_mean_log_eer: float
    n_speakers: int

    @property
    def prefers_start(self) -> bool:
        """Whether the transform is better by more than a tie."""
        return self.start_mean_log_eer < self.rotation_mean_log_eer - TIE

    @property
    def reason(self) -> str:
        """What was found, as part of a sentence."""
        found = "is" if self.prefers_start else "is not"
        return f"on {self.n_speakers} training speakers the start's mean log EER {found} below the rotation's"

    def entry(self) -> dict[str, Any]:
        """Return the entry of a checkpoint: plain values."""
        return asdict(self)


def compare_closed_forms(
    folds: Sequence[Fold], *, rotation: FitForm, start: FitForm, widths: Sequence[int], n_speakers: int
) -> ClosedForms:
    """Fit both forms without the speakers of each fold, and score them on the trials of these.

    Args:
        folds: Over training speakers.
        rotation: Fits the rotation.
        start: Fits the transform.
        widths: To score, rising.
        n_speakers: Speakers that the folds hold out.

    Raises:
        MetricError: If the trials of a fold are not of both kinds.
    """

    def mean(fit: FitForm) -> float:
        found = (score_trials(fold.held_out, fit(fold.fit)(fold.held_out.embeddings), widths)[1] for fold in folds)
        return float(np.mean([*found]))

    return ClosedForms(mean(rotation), mean(start), n_speakers)

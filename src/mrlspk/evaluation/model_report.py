"""All figures of one model."""

from dataclasses import dataclass
from pathlib import Path

from mrlspk.config.evaluation import EvaluationConfig
from mrlspk.evaluation.calibration_file import CalibrationFile
from mrlspk.evaluation.cohort import NormRequest
from mrlspk.evaluation.list_report import ListReport
from mrlspk.evaluation.list_scores import ScoredAs
from mrlspk.evaluation.model_scores import ScoredList
from mrlspk.evaluation.target import TargetWidth


@dataclass(frozen=True)
class EvaluationReport:
    """One model on one or more trial lists.

    Attributes:
        model: Checkpoint.
        fingerprint: Of its weights.
        dims: Widths scored, rising.
        settings: The configuration's section.
        seed: Of the draws of speakers.
        norm: The score normalisation; None for plain cosines.
        calibration: By which scores became log-likelihood ratios; None where they did not.
        trials: By list, in order.
        target_eer: The target that a width was sought for; None for no search.
        target_widths: What was found, by list.
        scored: The scores themselves, by list.
    """

    model: Path
    fingerprint: str
    dims: tuple[int, ...]
    settings: EvaluationConfig
    seed: int
    norm: NormRequest | None
    calibration: CalibrationFile | None
    trials: tuple[ListReport, ...]
    target_eer: float | None
    target_widths: tuple[TargetWidth, ...]
    scored: tuple[ScoredList, ...]

    @property
    def scored_as(self) -> ScoredAs:
        """How the scores were made."""
        return ScoredAs.of(self.norm, self.settings.max_seconds)

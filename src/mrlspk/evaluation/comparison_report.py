"""All differences between models."""

from dataclasses import dataclass

from mrlspk.config.evaluation import EvaluationConfig
from mrlspk.evaluation.cohort import NormRequest
from mrlspk.evaluation.comparison import ComparedTrials
from mrlspk.evaluation.run_checkpoints import RunCheckpoint


@dataclass(frozen=True)
class ComparisonReport:
    """Two or more models, in the order given, on one or more trial lists.

    Attributes:
        models: Names.
        fingerprints: Of each model's weights, by name.
        dims: Widths compared, rising.
        settings: The configuration's section.
        seed: Of the draws of speakers.
        norm: The score normalisation of what was scored now; None for plain cosines.
        run: The run whose checkpoints the models are, by epoch.
        trials: By list, in order.
    """

    models: tuple[str, ...]
    fingerprints: dict[str, str]
    dims: tuple[int, ...]
    settings: EvaluationConfig
    seed: int
    norm: NormRequest | None
    run: tuple[RunCheckpoint, ...]
    trials: tuple[ComparedTrials, ...]

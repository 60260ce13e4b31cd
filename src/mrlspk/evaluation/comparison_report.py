"""What a comparison of models finds."""

from dataclasses import dataclass

from mrlspk.data.trials import OfficialMatch
from mrlspk.evaluation.figures import Interval
from mrlspk.evaluation.intervals import IntervalNote, Resampling
from mrlspk.evaluation.list_scores import ScoredAs
from mrlspk.evaluation.paired import McNemar, Signs, SpeakerDifference
from mrlspk.evaluation.run_checkpoints import RunCheckpoint
from mrlspk.evaluation.trial_list import MissingAudio


@dataclass(frozen=True)
class ModelFigures:
    """One model at one width: equal error rate in [0, 1], detection cost at the first prior, 95 % intervals or None."""

    model: str
    eer: float
    eer_ci: Interval | None
    min_dcf: float
    min_dcf_ci: Interval | None


@dataclass(frozen=True)
class Difference:
    """What model ``b`` has more of than model ``a``: below zero, ``b`` makes fewer errors.

    Attributes:
        a: Model.
        b: Model.
        delta_eer: Of the equal error rates.
        delta_ci: Its 95 % interval over speakers; None where there are too few.
        p_value: Two-sided, of no difference; it is below 0.05 exactly where the interval excludes zero.
        p_holm: The same after Holm's correction for all comparisons of the report.
        delta_min_dcf: Of the detection costs at the first prior.
        delta_min_dcf_ci: Its interval.
        min_dcf_p_value: Its p-value, uncorrected.
        mcnemar: The decisions at each model's EER threshold, trial by trial.
        signs: For how many speakers ``b`` has the lower equal error rate, where they are too few for an interval.
        speakers: Speaker by speaker, likewise.
    """

    a: str
    b: str
    delta_eer: float
    delta_ci: Interval | None
    p_value: float | None
    p_holm: float | None
    delta_min_dcf: float
    delta_min_dcf_ci: Interval | None
    min_dcf_p_value: float | None
    mcnemar: McNemar
    signs: Signs | None
    speakers: tuple[SpeakerDifference, ...]


@dataclass(frozen=True)
class ComparedWidth:
    """All models, and pairs of them, at one width; the winner's interval against every other lies below zero."""

    dim: int
    models: tuple[ModelFigures, ...]
    pairs: tuple[Difference, ...]
    winner: str | None


@dataclass(frozen=True)
class ComparedTrials:
    """All models on one trial list; the attributes are those of `ListReport`."""

    path: str
    sha256: str
    official: OfficialMatch | None
    source: str
    n_target: int
    n_nontarget: int
    n_speakers: int
    missing: MissingAudio | None
    intervals: IntervalNote
    results: tuple[ComparedWidth, ...]


@dataclass(frozen=True)
class ComparisonReport:
    """Two or more models, in the order given, on one or more trial lists.

    Attributes:
        models: Names.
        fingerprints: Of each model's weights, by name.
        scored_as: How each model's scores were made, by name.
        dims: Widths compared, rising.
        p_target: Prior of the detection cost.
        resampling: How speakers are drawn.
        run: The run whose checkpoints the models are, by epoch.
        trials: By list, in order.
    """

    models: tuple[str, ...]
    fingerprints: dict[str, str]
    scored_as: dict[str, ScoredAs]
    dims: tuple[int, ...]
    p_target: float
    resampling: Resampling
    run: tuple[RunCheckpoint, ...]
    trials: tuple[ComparedTrials, ...]

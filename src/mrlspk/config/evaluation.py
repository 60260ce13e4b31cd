"""Section ``evaluation``: trials, priors, score normalisation and the choice of the best checkpoint."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from mrlspk.config.base import LARGEST, Channel, Count, CountOrZero, StrictModel, Width

MIN_RESAMPLES = 100  # fewer give unreliable intervals

SpeechMode = Literal["auto", "silero", "all"]
type Share = Annotated[float, Field(gt=0, lt=1)]


def _check_resamples(number: int) -> int:
    if 0 < number < MIN_RESAMPLES:
        raise ValueError(f"expected {MIN_RESAMPLES} resamples or more, or 0 for no intervals, got {number}")
    return number


class TrialListConfig(StrictModel):
    """A trial list and the folder that its paths are relative to."""

    path: Path = Field(description="Trial list: 0 or 1, enrolment path and test path on each line, or another format.")
    audio_root: Path = Field(description="Folder that its paths are relative to, or a wav.scp file.")


class EvaluationConfig(StrictModel):
    """Evaluation of a model during training and after."""

    trials: tuple[TrialListConfig, ...] = Field((), description="Trial lists that eval and compare use by default.")
    test_datasets: dict[str, Path] = Field(
        {}, description="Folders, by name, to generate trials from if no list is given."
    )
    n_generated_trials: Count = Field(500, description="Seeded trials from each test folder, half target.")
    p_target: tuple[Share, ...] = Field(
        (0.01, 0.05), min_length=1, description="Priors of the detection cost; the first is min_dcf."
    )
    false_accept_rates: tuple[Share, ...] = Field(
        (0.01, 0.001), description="False-accept rates for which eval reports a threshold."
    )
    n_resamples: Annotated[CountOrZero, AfterValidator(_check_resamples)] = Field(
        1000, description="Bootstrap resamples of speakers for 95 % intervals: 100 or more, or 0 for none."
    )
    score_norm: Literal["none", "s", "as"] = Field("none", description="Score normalisation: none, S-Norm or AS-Norm.")
    cohort: Path | None = Field(
        None, description="Cohort of score normalisation: a folder of speakers, or stored embeddings (.npz)."
    )
    top_n: Annotated[int, Field(ge=2, le=LARGEST)] = Field(
        300, description="Number of highest cohort scores that AS-Norm uses."
    )
    best_by: Literal["mean_log_eer", "loss"] | Width = Field(
        "mean_log_eer",
        description="Metric that the best checkpoint minimises: mean log EER over the widths, validation loss, "
        "or the EER at one width (its number).",
    )
    batch_size: Count = Field(16, description="Files of equal length embedded together.")
    max_seconds: float = Field(
        60.0,
        ge=1,
        le=86_400,
        description="Longest file embedded at once, seconds; longer ones are embedded in windows.",
    )
    speech: SpeechMode = Field(
        "all",
        description="Part of a recording to embed in eval, compare, calibrate and rotate: the speech that a detector "
        "finds (auto, silero), or all of it. embed and verify have a flag of their own.",
    )
    channel: Channel = Field("mix", description="Channel to embed: left, right or a number from 0; mix: their average.")
    cache: bool = Field(default=True, description="Keep embeddings of eval and compare in MRLSPK_CACHE_DIR.")

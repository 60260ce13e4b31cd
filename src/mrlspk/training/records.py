"""Records of a run: progress, validation result, warm start, baselines, steps and epochs; the observer protocol."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Annotated, Any, Literal, Protocol

from pydantic import Field, FiniteFloat, NonNegativeInt

from mrlspk.data.left_out import LeftOut
from mrlspk.metrics.width_metrics import WidthMetrics
from mrlspk.models.score_ranges import ScoreRanges


@dataclass(frozen=True)
class EpochSoFar:
    """Steps of the current epoch: their number, and the sums of their loss, class loss and margin.

    The class loss is the loss without distillation.
    """

    n_steps: NonNegativeInt = 0
    loss: FiniteFloat = 0.0
    class_loss: FiniteFloat = 0.0
    margin: FiniteFloat = 0.0

    def with_step(self, *, loss: float, class_loss: float, margin: float) -> "EpochSoFar":
        """Return the sums with one more step."""
        return EpochSoFar(self.n_steps + 1, self.loss + loss, self.class_loss + class_loss, self.margin + margin)

    @property
    def mean_loss(self) -> float:
        """The mean loss; NaN without a step."""
        return self.loss / self.n_steps if self.n_steps else math.nan


@dataclass(frozen=True)
class Progress:
    """How far a run is, to the crop.

    Attributes:
        epoch: Epochs done and validated.
        step: Optimiser steps done, skipped ones included.
        n_crops: Crops of the current epoch that all processes together have taken.
        so_far: Steps of the current epoch.
        best_value: Value of the best epoch; lower is better.
        best_epoch: The best epoch; 0 if there is none yet.
        best_within_limit: Whether the best epoch is within the limit on the EER at full width, if there is a limit.
        n_skipped: Steps skipped because of a non-finite loss or gradient.
        n_skipped_in_a_row: Steps skipped since the last step that was taken.
        n_parts: Parts that each batch is split into; above 1 after memory ran out.
        unreadable: What is wrong with the files that other ones replaced, by utterance id; of all processes.
    """

    epoch: NonNegativeInt = 0
    step: NonNegativeInt = 0
    n_crops: NonNegativeInt = 0
    so_far: EpochSoFar = field(default_factory=EpochSoFar)
    best_value: Annotated[float, Field(le=math.inf)] = math.inf  # no NaN
    best_epoch: NonNegativeInt = 0
    best_within_limit: bool = True
    n_skipped: NonNegativeInt = 0
    n_skipped_in_a_row: NonNegativeInt = 0
    n_parts: Annotated[int, Field(ge=1, le=2)] = 1
    unreadable: dict[str, str] = field(default_factory=dict)

    def after_step(self, *, loss: float, class_loss: float, margin: float, n_crops: int, n_parts: int) -> "Progress":
        """Return the progress after an optimiser step of ``n_crops``, of all processes."""
        so_far = self.so_far.with_step(loss=loss, class_loss=class_loss, margin=margin)
        return replace(self._moved(n_crops, n_parts), so_far=so_far, n_skipped_in_a_row=0)

    def after_skipped_step(self, *, n_crops: int, n_parts: int) -> "Progress":
        """Return the progress after a skipped step: its crops count, its loss does not."""
        in_a_row = self.n_skipped_in_a_row + 1
        return replace(self._moved(n_crops, n_parts), n_skipped=self.n_skipped + 1, n_skipped_in_a_row=in_a_row)

    def after_epoch(self) -> "Progress":
        """Return the progress with the current epoch done."""
        return replace(self, epoch=self.epoch + 1, n_crops=0, so_far=EpochSoFar())

    def _moved(self, n_crops: int, n_parts: int) -> "Progress":
        return replace(self, step=self.step + 1, n_crops=self.n_crops + n_crops, n_parts=n_parts)


@dataclass(frozen=True)
class ValidationResult:
    """Metrics on held-out speakers.

    Attributes:
        loss: Mean over the trained widths, weighted as in training.
        widths: Metrics of each width that is trained, rising.
        mean_log_eer: Mean natural logarithm of the EERs at the published widths.
        score_ranges: Of each width that is trained.
        eer_by_domain: EER by published width of each domain, such as a corpus; empty if all speakers are of one.
    """

    loss: float
    widths: tuple[WidthMetrics, ...]
    mean_log_eer: float
    score_ranges: tuple[ScoreRanges, ...] = ()
    eer_by_domain: Mapping[str, Mapping[int, float]] = field(default_factory=dict)

    @property
    def eer(self) -> dict[int, float]:
        """EER by width."""
        return {width.dim: width.eer for width in self.widths}

    @property
    def min_dcf(self) -> dict[int, float]:
        """Minimum detection cost at the first prior, by width."""
        return {width.dim: width.min_dcf for width in self.widths}

    def entry(self) -> dict[str, Any]:
        """Return the entry of a checkpoint or log: plain values only."""
        return {
            "loss": self.loss,
            "eer": self.eer,
            "min_dcf": self.min_dcf,
            "mean_log_eer": self.mean_log_eer,
            **({"eer_by_domain": dict(self.eer_by_domain)} if self.eer_by_domain else {}),
        }


type Carried = Literal["kept", "rebuilt"]


@dataclass(frozen=True)
class WarmStart:
    """What a run takes over from the model that it starts from; every entry of the file is accounted for.

    Attributes:
        source: The path or name that was asked for.
        family: Layout of the file.
        loaded: Number of entries of the network that the file fills.
        missing: Entries of the network that the file lacks; a file that lacks any is refused.
        unexpected: Entries of the file that the network lacks; a file with any is refused.
        left_out: Entries that are known and not used, such as a classifier.
        coverage: Share of the network's values that the file fills, before the head gets its widths.
        head_rows_kept: Rows of the head's linear layer, one per value of the embedding, from the file.
        head_rows_random: Rows with random weights.
        class_weights: Classifier weights: ``kept`` or ``rebuilt``; None for a loss without classes.
        classes_in_file: None if the file has no classifier, or does not say how many classes it has.
        classes: Classes of this run's loss.
        remark: Whether the classifier weights were kept or reinitialised, and why, as part of a sentence.
    """

    source: str
    family: str
    loaded: int
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    left_out: tuple[str, ...]
    coverage: float
    head_rows_kept: int
    head_rows_random: int
    class_weights: Carried | None
    classes_in_file: int | None
    classes: int
    remark: str

    def sentence(self) -> str:
        """Return the warm start as one line."""
        all_rows = self.head_rows_kept + self.head_rows_random
        if not self.loaded:
            return f"from {self.source}: a head on its embeddings; {self.remark}"
        rows = f"{self.head_rows_kept} of {all_rows}" if self.head_rows_random else f"all {all_rows}"
        return (
            f"from {self.source} ({self.family}): {self.loaded:,} entries loaded, {len(self.left_out):,} left out, "
            f"{self.coverage:.1%} of the network; head: {rows} rows loaded; {self.remark}"
        )


@dataclass(frozen=True)
class Baselines:
    """EERs on the validation trials before training, to compare a trained head with.

    Attributes:
        own_dim: Full width of the model's own embedding.
        own: EER of that embedding at full width.
        truncation: EER by width of that embedding, truncated; widths beyond ``own_dim`` are absent.
        rotation: EER by width of the rotation that training starts from.
        rotation_method: Method of the rotation.
        rotation_mean_log_eer: Mean natural logarithm of the rotation's EERs at the published widths.
    """

    own_dim: int
    own: float
    truncation: dict[int, float]
    rotation: dict[int, float]
    rotation_method: str
    rotation_mean_log_eer: float


@dataclass(frozen=True)
class RunFacts:
    """What is known of a run before its first step.

    Attributes:
        transfer: What is taken over from another model; None from scratch, and for a resumed run.
        n_stored: Pooled vectors in an epoch of a head run; None for a run of the network.
        stored_bytes: Their size on disk.
        baselines: Of a head run, once known.
        first_step: Optimiser steps done before; above 0 in a resumed run.
        resumes: Whether the run is resumed from a checkpoint of its own.
        n_processes: Processes that share the work.
        effective_batch: Crops of an optimiser step, over all processes and accumulated batches.
        parameters: Number of values of each part: front end, backbone, pooling, head, classifier weights.
        left_out: Audio and links in the corpora that are not used.
        published_dims: Widths that the model is published with; others only take part in the training.
    """

    run_dir: str
    config: dict[str, Any]
    n_speakers: int
    n_utterances: int
    n_classes: int
    n_validation_speakers: int
    n_validation_trials: int
    trained_parameters: int
    frozen_parameters: int
    steps_per_epoch: int
    num_epochs: int
    first_epoch: int
    transfer: WarmStart | None
    n_stored: int | None = None
    stored_bytes: int | None = None
    baselines: Baselines | None = None
    first_step: int = 0
    resumes: bool = False
    n_processes: int = 1
    effective_batch: int = 0
    parameters: dict[str, int] = field(default_factory=dict)
    left_out: tuple[LeftOut, ...] = ()
    published_dims: tuple[int, ...] = ()


@dataclass(frozen=True)
class StepRecord:
    """One optimiser step; losses are means over its batches, the rate is that of the first parameter group.

    Attributes:
        loss: Not finite if the step was skipped; ``loss_by_dim`` and ``gradient_norm`` may then be non-finite too.
        utterances_per_second: Of all processes, waiting for data included.
        waiting_share: Share of the step's time, in [0, 1], that this process waited for its batches.
        memory_mib: Peak memory so far: reserved on the GPU, or resident in this process on a CPU.
        n_skipped: Steps skipped so far in the run because of a non-finite loss or gradient.
    """

    epoch: int
    step: int
    loss: float
    loss_by_dim: dict[int, float]
    learning_rate: float
    margin: float
    gradient_norm: float
    utterances_per_second: float
    waiting_share: float
    memory_mib: float
    n_skipped: int = 0


@dataclass(frozen=True)
class EpochRecord:
    """One validated epoch; ``train_loss`` is the mean over the steps that were not skipped.

    ``n_unreadable`` is the number of files that could not be read so far in the run.
    """

    epoch: int
    step: int
    train_loss: float
    validation: ValidationResult
    is_best: bool
    seconds: float
    n_unreadable: int = 0

    def entry(self) -> dict[str, Any]:
        """Return the epoch as a log has it: plain values only."""
        return {field.name: getattr(self, field.name) for field in fields(self)} | {
            "validation": self.validation.entry()
        }


class Observer(Protocol):
    """Watches a run: a log, a progress display."""

    def run_started(self, facts: RunFacts) -> None:
        """Take note of the run before its first step."""

    def step_done(self, record: StepRecord) -> None:
        """Take note of an optimiser step."""

    def epoch_done(self, record: EpochRecord) -> None:
        """Take note of a validated epoch."""

    def run_ended(self) -> None:
        """Close what is open; called after a failure too."""

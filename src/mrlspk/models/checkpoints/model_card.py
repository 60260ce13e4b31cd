"""Define the model card in a checkpoint: base model, licence, training data and metrics."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveInt, ValidationError

from mrlspk.config.value_problems import problem_text
from mrlspk.errors import CheckpointError
from mrlspk.models.checkpoints import schema
from mrlspk.models.score_ranges import ScoreRanges


class CardPart(BaseModel):
    """A part of a model card; fields of later versions are ignored."""

    model_config = ConfigDict(frozen=True)


class BaseCard(CardPart):
    """The model that training started from; ``non_commercial`` and ``training_set`` are null if not known."""

    model: str = Field(description="Its published name, else its path as typed; of an absolute path the file name.")
    sha256: str | None = Field(description="Of its file; null if the file was not available.")
    family: str
    licence: str
    non_commercial: bool | None
    training_set: str | None
    front_end: dict[str, Any] | None = Field(None, description="Of a model of another toolkit.")
    base: "BaseCard | None" = Field(None, description="The base model of that one.")


class DataCard(CardPart):
    """The training corpus, without validation speakers unless the model was refitted on them too."""

    folder: str
    speakers: PositiveInt
    utterances: PositiveInt
    fingerprint: str = Field(description="SHA-256 over the utterance ids; of vectors, over speakers and values too.")
    vectors: bool = Field(False, description="Whether it is files of stored vectors in place of audio.")
    synthetic: bool = Field(False, description="Whether it is the demo corpus of synthetic voices.")


class RefitCard(CardPart):
    """A head that was fitted again on training and held-out speakers, after the metrics were measured."""

    speakers: PositiveInt = Field(description="All speakers of the refit.")
    held_out_model: str = Field(description="File in the run's folder: the same recipe without held-out speakers.")


class TrialsCard(CardPart):
    """The trials of the metrics."""

    description: str
    sha256: str
    n_target: PositiveInt
    n_nontarget: PositiveInt
    p_target: float = Field(description="Prior of the detection cost.")


class WidthCard(CardPart):
    """Metrics of one width, as fractions."""

    dim: PositiveInt
    eer: float
    min_dcf: float


class TransformCard(CardPart):
    """How the head was transformed before training; an orthogonal rotation is neither centred nor flattened."""

    centred: bool
    flatten: float = Field(description="Power of the flattening; 0 keeps the spectrum.")
    order: Literal["energy", "scatter"] | None = Field(description="Null for a rotation by another method.")


class ModelCard(CardPart):
    """The model card of a checkpoint; inside the checkpoint, its file name and SHA-256 are null."""

    title: str
    mrlspk_version: str
    checkpoint: str | None = Field(None, description="Name of the file.")
    sha256: str | None = Field(None, description="Of the file.")
    family: str
    parameters: PositiveInt
    dims: tuple[PositiveInt, ...] = Field(min_length=1)
    base: BaseCard | None = Field(description="Null for a model trained from scratch.")
    data: DataCard
    trials: TrialsCard
    transform: TransformCard | None = Field(None, description="Null for a head that was not transformed.")
    debug_batches: PositiveInt | None = Field(None, description="Batches of each epoch of a debug run; else null.")
    refit: RefitCard | None = Field(None, description="Null unless it was fitted again on all speakers.")
    epoch: NonNegativeInt = 0
    results: tuple[WidthCard, ...] = ()
    score_ranges: tuple[ScoreRanges, ...] = Field(
        (), description="By width, on the same trials; empty if not measured."
    )

    def with_results(self, eer: Mapping[int, float], min_dcf: Mapping[int, float], *, epoch: int) -> "ModelCard":
        """Return the card of the checkpoint of ``epoch``, with the metrics of the widths that the model has."""
        results = tuple(WidthCard(dim=dim, eer=eer[dim], min_dcf=min_dcf[dim]) for dim in self.dims)
        return self.model_copy(update={"epoch": epoch, "results": results})

    def entry(self) -> dict[str, Any]:
        """Return the entry of the checkpoint: plain values."""
        return self.model_dump(mode="json", exclude={"checkpoint", "sha256"})


def read_card(contents: dict[str, Any], path: Path) -> ModelCard | None:
    """Return the model card among a checkpoint's entries; None if there is none.

    Raises:
        CheckpointError: If the entry is damaged.
    """
    entry = contents.get(schema.CARD)
    if entry is None:
        return None
    try:
        return ModelCard.model_validate(entry)
    except ValidationError as error:
        problem = error.errors()[0]
        place = ".".join(map(str, (schema.CARD, *problem["loc"])))
        what = f"its model card is damaged: {place}: {problem_text(problem)}"
        raise CheckpointError(what, path, "Give the checkpoint as it was written.") from error

"""The model card, kept inside a checkpoint: what it is made of, on what terms, and how good it is."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveInt, ValidationError

from mrlspk.errors import CheckpointError
from mrlspk.models.checkpoints import schema


class CardPart(BaseModel):
    """A part of a card; what a later version adds to one is not read."""

    model_config = ConfigDict(frozen=True)


class BaseCard(CardPart):
    """The model that training started from; ``non_commercial`` and ``training_set`` are null where nobody has said."""

    model: str = Field(description="Its name; else its path as typed, or its file's name where that was absolute.")
    sha256: str | None = Field(description="Of its file; null where the file was not at hand.")
    family: str
    licence: str
    non_commercial: bool | None
    training_set: str | None
    base: "BaseCard | None" = Field(None, description="What that one started from in its turn.")


class DataCard(CardPart):
    """The training corpus, without validation speakers."""

    folder: str
    speakers: PositiveInt
    utterances: PositiveInt
    fingerprint: str = Field(description="SHA-256 over the utterance ids.")


class TrialsCard(CardPart):
    """The trials that the figures are of."""

    description: str
    sha256: str
    n_target: PositiveInt
    n_nontarget: PositiveInt
    p_target: float = Field(description="Prior of the detection cost.")


class WidthCard(CardPart):
    """Figures of one width, as fractions."""

    dim: PositiveInt
    eer: float
    min_dcf: float


class ModelCard(CardPart):
    """The card of one checkpoint; inside it, the file's own name and SHA-256 are null."""

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
    epoch: NonNegativeInt = 0
    results: tuple[WidthCard, ...] = ()

    def with_results(self, eer: Mapping[int, float], min_dcf: Mapping[int, float], *, epoch: int) -> "ModelCard":
        """Return the card of the checkpoint of ``epoch``, with the metrics of the widths that the model has."""
        results = tuple(WidthCard(dim=dim, eer=eer[dim], min_dcf=min_dcf[dim]) for dim in self.dims)
        return self.model_copy(update={"epoch": epoch, "results": results})

    def entry(self) -> dict[str, Any]:
        """Return what the checkpoint holds of the card: plain values."""
        return self.model_dump(mode="json", exclude={"checkpoint", "sha256"})


def read_card(contents: dict[str, Any], path: Path) -> ModelCard | None:
    """Return the card among a checkpoint's entries; None where it was written without one.

    Raises:
        CheckpointError: If the entry is no card.
    """
    entry = contents.get(schema.CARD)
    if entry is None:
        return None
    try:
        return ModelCard.model_validate(entry)
    except ValidationError as error:
        problem = error.errors()[0]
        place = ".".join(map(str, (schema.CARD, *problem["loc"])))
        raise CheckpointError(
            f"its model card is damaged: {place}: {problem['msg']}", path, "Give the checkpoint as it was written."
        ) from error

"""Read from a checkpoint of ours how its model was made."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from mrlspk.errors import CheckpointError
from mrlspk.evaluation.score_ranges import read_score_ranges
from mrlspk.models.checkpoints import schema
from mrlspk.models.checkpoints.model_card import ModelCard, read_card
from mrlspk.models.checkpoints.schema import Provenance
from mrlspk.models.score_ranges import ScoreRanges


@dataclass(frozen=True)
class ModelRecipe:
    """How a model was made.

    Attributes:
        made_by: See `Provenance`.
        base: Name or path of the model that it was made from; None if it is not known.
        head: Which head of a head run it holds: rotation, start or trained; None if the file does not say.
        reason: Why that one was kept; None likewise.
        rotation: Method and parameter of the rotation; None without one.
        transform: Whether it is centred, its power and order; None without one.
        card: Corpus, metrics on held-out speakers and refit; None of files without a model card.
        score_ranges: Of same-speaker and different-speaker pairs, by width; empty if not measured.
    """

    made_by: str
    base: str | None
    head: str | None
    reason: str | None
    rotation: tuple[str, float | None] | None
    transform: dict[str, Any] | None
    card: ModelCard | None
    score_ranges: tuple[ScoreRanges, ...]


def read_recipe(entries: dict[str, Any], path: Path) -> ModelRecipe:
    """Return the recipe of the model among a checkpoint's entries.

    Raises:
        CheckpointError: If an entry is damaged.
    """
    try:
        provenance = Provenance.model_validate(entries.get(schema.PROVENANCE, {"kind": "unknown"}))
    except ValidationError as error:
        what = f"its {schema.PROVENANCE} is damaged: {error.errors()[0]['msg']}"
        raise CheckpointError(what, path, "Give the checkpoint as it was written.") from error
    verdict, rotation, transform = (
        found if isinstance(found := entries.get(key), dict) else {}
        for key in (schema.VERDICT, schema.ROTATION, schema.TRANSFORM)
    )
    return ModelRecipe(
        made_by=provenance.kind,
        base=provenance.base.model if provenance.base else None,
        head=verdict.get("kept"),
        reason=verdict.get("reason"),
        rotation=(rotation["method"], rotation.get("parameter")) if "method" in rotation else None,
        transform=transform or None,
        card=read_card(entries, path),
        score_ranges=read_score_ranges(entries, path),
    )

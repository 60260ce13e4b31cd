"""Choose the model to use if none is named: the newest run of real training, or a published model."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ValidationError

from mrlspk.errors import CheckpointError
from mrlspk.pretrained.registry import find_model
from mrlspk.reading import read_bytes

type ModelSource = Literal["argument", "MRLSPK_MODEL", "newest run", "published default"]

RUNS = Path("checkpoints")  # where `mrlspk train` writes, unless told otherwise
PUBLISHED = "redimnet-b2-vox2-ft_lm"
PUBLISHED_LIST = "vox1-o"

log = logging.getLogger("mrlspk.inference")


@dataclass(frozen=True)
class PassedOver:
    """A newer run whose checkpoint is not the default, and why not."""

    path: Path
    reason: str


@dataclass(frozen=True)
class DefaultModel:
    """A model that nobody named, and what is known of it.

    Attributes:
        model: Path or published name.
        source: Where it comes from.
        date: Day on which a run wrote it, such as 2026-01-31; None for a published model.
        corpus: What it was trained on; None if it is not known.
        eer: At full width, as a fraction: of a run on its held-out speakers, else as published on VoxCeleb1-O.
        passed_over: Newer runs, newest first.
    """

    model: str
    source: ModelSource
    date: str | None = None
    corpus: str | None = None
    eer: float | None = None
    passed_over: tuple[PassedOver, ...] = ()


class _Data(BaseModel):
    folder: str
    synthetic: bool = False


class _Width(BaseModel):
    eer: float


class _Card(BaseModel):
    """What decides of a model card; the whole one needs PyTorch."""

    data: _Data
    family: str | None = None
    base: object | None = None
    debug_batches: int | None = None
    results: tuple[_Width, ...] = ()


def choose_default(runs: Path) -> DefaultModel:
    """Return ``best.pt`` of the newest run in a folder of runs, else the published model.

    Runs on the demo corpus, debug runs and heads for vectors alone are passed over: they embed no real speech, or none
    well.
    """
    passed_over = []
    for best in _newest_first(runs):
        card = _read_card(best)
        if reason := card and _unfit(card):
            passed_over.append(PassedOver(best, reason))
        else:
            return replace(_of_run(best, card), passed_over=tuple(passed_over))
    published = find_model(PUBLISHED)
    eer = (published.published_eer or {}).get(PUBLISHED_LIST)
    return DefaultModel(
        PUBLISHED, "published default", corpus=published.training_set, eer=eer, passed_over=tuple(passed_over)
    )


def _newest_first(runs: Path) -> Iterator[Path]:
    found = [(path.stat().st_mtime, path) for path in runs.glob("*/best.pt")]
    return (path for _, path in sorted(found, reverse=True))


def _read_card(best: Path) -> _Card | None:
    """Return the model card beside a checkpoint; None if there is none, or, with a warning, if it is damaged."""
    path = best.with_name("best.card.json")
    if not path.is_file():
        return None
    try:
        return _Card.model_validate_json(read_bytes(path, CheckpointError))
    except (ValidationError, CheckpointError):
        log.warning("%s is damaged, so it is not known what %s was trained on", path, best)
        return None


def _unfit(card: _Card) -> str | None:
    if card.data.synthetic:
        return "trained on the synthetic voices of the demo corpus"
    if card.debug_batches is not None:
        return "a debug run"
    if card.family == "head" and card.base is None:
        return "a head for vectors, not for audio"
    return None


def _of_run(best: Path, card: _Card | None) -> DefaultModel:
    date = datetime.fromtimestamp(best.stat().st_mtime).astimezone().date().isoformat()
    corpus, eer = (card.data.folder, [each.eer for each in card.results]) if card else (None, [])
    return DefaultModel(str(best), "newest run", date, corpus, eer[-1] if eer else None)

"""Find the checkpoints of a training run: by epoch, the candidates of a head run, or one without held-out speakers."""

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mrlspk.config import Config
from mrlspk.errors import CheckpointError, DataError
from mrlspk.evaluation.trial_list import VALIDATION_TRIALS, TrialRequest
from mrlspk.inference.model_file import ModelFile
from mrlspk.reading import parse_json, read_bytes

log = logging.getLogger("mrlspk.evaluation")

BEST_CARD = "best.card.json"
CANDIDATES = "rotation", "start", "trained", "best"  # files of a head run, from the simplest on
EPOCH = re.compile(r"epoch-(\d+)\.pt")


@dataclass(frozen=True)
class RunCheckpoint:
    """A checkpoint that a run wrote at the end of an epoch, counted from 1."""

    path: Path
    epoch: int


def find_candidates(run: Path) -> tuple[Path, ...]:
    """Return rotation, start, trained head and the best of them, as far as a head run has them; none of other runs."""
    found = tuple(path for name in CANDIDATES if (path := run / f"{name}.pt").is_file())
    return found if run / "rotation.pt" in found and len(found) > 1 else ()


def find_run_checkpoints(run: Path) -> tuple[RunCheckpoint, ...]:
    """Return the kept checkpoints of a run, by epoch.

    Raises:
        DataError: If there are fewer than two.
    """
    found = [(EPOCH.fullmatch(path.name), path) for path in run.iterdir()]
    checkpoints = sorted((int(match[1]), path) for match, path in found if match)
    if len(checkpoints) < 2:
        raise DataError(
            f"expected a run with at least two checkpoints epoch-NNN.pt, got {len(checkpoints)}",
            run,
            "Name checkpoints one by one, or train with logging.keep_last_n higher.",
        )
    return tuple(RunCheckpoint(path, epoch) for epoch, path in checkpoints)


def held_out_twin(model: ModelFile) -> ModelFile | None:
    """Return the file of a refitted model's recipe that has not seen the held-out speakers of its run.

    None if the model was not refitted, or is not in the folder of its run: then no such trials are beside it.

    Raises:
        CheckpointError: If the model is no checkpoint, or that file is gone.
    """
    return _twin(model, _read_entries(model))


def without_held_out(model: ModelFile, trials: TrialRequest, config: Config) -> ModelFile:
    """Return the model to score: of a refitted one its twin, if the trials are among the held-out speakers of its run.

    Args:
        model: The model that was asked for.
        trials: That the user names.
        config: The given configuration, which may name other trials.

    Raises:
        CheckpointError: As `held_out_twin`.
    """
    if trials.paths or _names_trials(config.evaluation.model_dump()):
        return model
    _warn_of_export(model)
    entries = _read_entries(model)
    evaluation = (entries.get("config") or {}).get("evaluation", {})
    if (not model.is_vectors and _names_trials(evaluation)) or (twin := _twin(model, entries)) is None:
        return model
    what = "%s was refitted on the held-out speakers too: scored %s, the same recipe without them"
    log.warning(what, model.path, twin.path.name)
    return twin


def _warn_of_export(model: ModelFile) -> None:
    """Warn of a model that is no checkpoint, such as a graph, in the folder of a run whose best one was refitted."""
    card, is_in_run = model.path.with_name(BEST_CARD), model.path.with_name(VALIDATION_TRIALS).is_file()
    if model.path.suffix.lower() == ".pt" or model.is_plain_vectors or not (is_in_run and card.is_file()):
        return
    content = parse_json(read_bytes(card, CheckpointError), card, CheckpointError)
    if isinstance(content, dict) and content.get("refit"):
        what = "%s may be of a model that was refitted on the held-out speakers too: give `trials=FILE` of others"
        log.warning(what, model.path)


def _names_trials(evaluation: Mapping[str, Any]) -> bool:
    """Return whether a section ``evaluation`` names trial lists, or corpora to draw trials from."""
    return bool(evaluation.get("trials") or evaluation.get("test_datasets"))


def _read_entries(model: ModelFile) -> dict[str, Any]:
    """Return the entries of a checkpoint in the folder of a run; none of other models."""
    if model.path.suffix.lower() != ".pt" or not (model.path.parent / VALIDATION_TRIALS).is_file():
        return {}
    from mrlspk.models.checkpoints import read_checkpoint  # other models need no PyTorch

    return read_checkpoint(model.path)


def _twin(model: ModelFile, entries: dict[str, Any]) -> ModelFile | None:
    if not entries:
        return None
    from mrlspk.models.checkpoints.model_card import read_card

    card = read_card(entries, model.path)
    if card is None or card.refit is None:
        return None
    path = model.path.with_name(card.refit.held_out_model)
    if not path.is_file():
        what = f"was refitted on the held-out speakers, and {path.name} is gone, which has not seen them"
        raise CheckpointError(what, model.path, "Restore it, or give `trials=FILE` of other speakers.")
    return replace(model, path=path, typed=str(path))

"""A model on trial lists: every utterance decoded and embedded once, every list scored at every width."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mrlspk.encoding.embedding import embed_files
from mrlspk.encoding.widths import check_dims
from mrlspk.errors import DataError, UsageError
from mrlspk.evaluation.scoring import WidthResult, score_trials
from mrlspk.evaluation.trial_list import TrialList
from mrlspk.models.encoder import Encoder

log = logging.getLogger("mrlspk.evaluation")

SHOWN_ERRORS = 10


@dataclass(frozen=True)
class TrialResult:
    """Figures of one model on one trial list.

    Attributes:
        path: The list's file, or how its trials were made.
        sha256: Of the list.
        source: Why it is these trials.
        audio_root: Folder that its utterance ids are relative to.
        n_target: Target trials.
        n_nontarget: Non-target trials.
        results: By width, rising.
    """

    path: str
    sha256: str
    source: str
    audio_root: Path
    n_target: int
    n_nontarget: int
    results: tuple[WidthResult, ...]


def score_model(
    encoder: Encoder,
    lists: Sequence[TrialList],
    dims: Sequence[int],
    p_targets: Sequence[float],
    *,
    batch_size: int,
    max_seconds: float,
    on_progress: Callable[[int, int], None] | None = None,
) -> tuple[TrialResult, ...]:
    """Return the figures of each list, in order.

    Args:
        encoder: In evaluation mode, on its device.
        lists: Trials with their audio.
        dims: Prefix widths, rising.
        p_targets: Priors of the detection cost.
        batch_size: Files of equal length embedded together.
        max_seconds: Longer files are embedded in windows.
        on_progress: Called with (files done, all files).

    Raises:
        DataError: If an utterance cannot be read or embedded.
    """
    embeddings = _embed_lists(encoder, lists, batch_size=batch_size, max_seconds=max_seconds, on_progress=on_progress)
    return tuple(_score_list(embeddings, trial_list, dims, p_targets) for trial_list in lists)


def choose_dims(
    encoder: Encoder, dims: tuple[int, ...] | None, *, allow_untrained: bool, model: str | Path
) -> tuple[int, ...]:
    """Return the widths to score: those asked for, or all that the model was trained for.

    Raises:
        UsageError: If the model does not have a width, or was not trained for it and that is not allowed.
    """
    try:
        return check_dims(encoder.dims, dims, allow_untrained=allow_untrained)
    except UsageError as error:
        raise UsageError(error.what, f"--dims, {model}", error.fix) from error


def _embed_lists(
    encoder: Encoder,
    lists: Sequence[TrialList],
    *,
    batch_size: int,
    max_seconds: float,
    on_progress: Callable[[int, int], None] | None,
) -> dict[str, NDArray[np.float32]]:
    """Return the embedding, not of unit length, of every file that a list names, by the file's path."""
    paths = (each.path_of(utterance_id) for each in lists for utterance_id in each.trials.utterance_ids)
    files = {str(path): path for path in paths}
    found = embed_files(encoder, files, batch_size=batch_size, max_seconds=max_seconds, on_progress=on_progress)
    if found.errors:
        problems = list(found.errors.values())
        more = [f"and {len(problems) - SHOWN_ERRORS} more"] if len(problems) > SHOWN_ERRORS else []
        raise DataError(
            "\n".join(
                [f"{len(problems)} of {len(files)} utterances cannot be embedded:", *problems[:SHOWN_ERRORS], *more]
            ),
            fix="Mend the recordings, or leave their trials out of the list.",
        )
    for path, warnings in found.warnings.items():
        log.warning("%s: %s", path, ", ".join(warnings))
    return found.embeddings


def _score_list(
    embeddings: dict[str, NDArray[np.float32]], trial_list: TrialList, dims: Sequence[int], p_targets: Sequence[float]
) -> TrialResult:
    trials = trial_list.trials
    by_id = {utterance_id: embeddings[str(trial_list.path_of(utterance_id))] for utterance_id in trials.utterance_ids}
    return TrialResult(
        path=trials.path,
        sha256=trials.sha256,
        source=trial_list.source,
        audio_root=trial_list.audio_root,
        n_target=trials.n_target,
        n_nontarget=trials.n_nontarget,
        results=score_trials(by_id, trials, dims, p_targets),
    )

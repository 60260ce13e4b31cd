"""Score trial lists with one model, at every width."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mrlspk.config import Config
from mrlspk.encoding.device import find_device
from mrlspk.encoding.loading import load_located
from mrlspk.encoding.locate import ModelFile
from mrlspk.evaluation.model_scores import TrialResult, choose_dims, score_model
from mrlspk.evaluation.sources import choose_trial_lists


@dataclass(frozen=True)
class EvaluationReport:
    """One model on one or more trial lists."""

    model: Path
    trials: tuple[TrialResult, ...]


def evaluate(
    model: ModelFile,
    trials: Sequence[Path] = (),
    audio_roots: Sequence[Path] = (),
    *,
    config: Config | None = None,
    dims: tuple[int, ...] | None = None,
    p_targets: tuple[float, ...] | None = None,
    allow_untrained_dim: bool = False,
    device: str = "auto",
    on_progress: Callable[[int, int], None] | None = None,
) -> EvaluationReport:
    """Return the figures of ``model`` on each trial list.

    Args:
        model: Checkpoint.
        trials: Lists; none: those of ``config``, else those that the checkpoint leads to.
        audio_roots: Folders that the lists' paths are relative to: one for all, or one each.
        config: Its ``evaluation`` section is used.
        dims: Prefix widths, rising; None: all that the model was trained for.
        p_targets: Priors of the detection cost; None: those of ``config``.
        allow_untrained_dim: Score widths that the model has but was not trained for.
        device: auto, cpu, cuda, cuda:N or mps.
        on_progress: Called with (files done, all files).

    Raises:
        CheckpointError: If the file is no model.
        UsageError: If the model does not have a width, or the audio folders do not pair with the lists.
        DataError: If there are no trials, or a list or an utterance cannot be used.
    """
    config = config or Config()
    settings = config.evaluation
    loaded = load_located(model)
    widths = choose_dims(loaded.encoder, dims, allow_untrained=allow_untrained_dim, model=model.path)
    lists = choose_trial_lists(trials, audio_roots, config=config, carried={model.path: loaded.config})
    results = score_model(
        loaded.encoder.to(find_device(device)),
        lists,
        widths,
        p_targets or settings.p_target,
        batch_size=settings.batch_size,
        max_seconds=settings.max_seconds,
        on_progress=on_progress,
    )
    return EvaluationReport(model.path, results)

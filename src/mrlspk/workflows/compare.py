"""Score the same trial lists with two or more models."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mrlspk.config import Config
from mrlspk.encoding.device import find_device
from mrlspk.encoding.loading import load_located
from mrlspk.encoding.locate import ModelFile
from mrlspk.errors import UsageError
from mrlspk.evaluation.comparison import ComparedTrials, common_dims, compare_results
from mrlspk.evaluation.model_scores import choose_dims, score_model
from mrlspk.evaluation.sources import choose_trial_lists


@dataclass(frozen=True)
class ComparisonReport:
    """Two or more models, in the order given, on one or more trial lists."""

    models: tuple[str, ...]
    trials: tuple[ComparedTrials, ...]


def compare(
    models: Mapping[str, ModelFile],
    trials: Sequence[Path] = (),
    audio_roots: Sequence[Path] = (),
    *,
    config: Config | None = None,
    dims: tuple[int, ...] | None = None,
    allow_untrained_dim: bool = False,
    device: str = "auto",
    on_progress: Callable[[int, int], None] | None = None,
) -> ComparisonReport:
    """Return each model's equal error rate and the differences, per list and width.

    Args:
        models: Checkpoint by the name that the report calls it.
        trials: Lists; none: those of ``config``, else those that the first checkpoint that can leads to.
        audio_roots: Folders that the lists' paths are relative to: one for all, or one each.
        config: Its ``evaluation`` section is used.
        dims: Prefix widths, rising; None: all that every model was trained for.
        allow_untrained_dim: Score widths that a model has but was not trained for.
        device: auto, cpu, cuda, cuda:N or mps.
        on_progress: Called with (files done, all files), each file counted once a model.

    Raises:
        CheckpointError: If a file is no model.
        UsageError: If a model comes twice or alone, or a width cannot be had from each.
        DataError: If there are no trials, or a list or an utterance cannot be used.
    """
    _check_distinct(models)
    config = config or Config()
    loaded = {name: load_located(file) for name, file in models.items()}
    for name, model in loaded.items():
        choose_dims(model.encoder, dims, allow_untrained=allow_untrained_dim, model=name)
    widths = dims or common_dims({name: model.encoder.dims for name, model in loaded.items()})
    carried = {models[name].path: model.config for name, model in loaded.items()}
    lists = choose_trial_lists(trials, audio_roots, config=config, carried=carried)
    target_device, results = find_device(device), {}
    for index, (name, model) in enumerate(loaded.items()):
        results[name] = score_model(
            model.encoder.to(target_device),
            lists,
            widths,
            config.evaluation.p_target,
            batch_size=config.evaluation.batch_size,
            max_seconds=config.evaluation.max_seconds,
            on_progress=on_progress and _progress_of(index, len(loaded), on_progress),
        )
    return ComparisonReport(tuple(models), compare_results(results))


def _check_distinct(models: Mapping[str, ModelFile]) -> None:
    if len(models) < 2:
        raise UsageError(f"expected two or more different models, got {len(models)}", fix="Name a second checkpoint.")
    seen: dict[Path, str] = {}
    for name, file in models.items():
        first = seen.setdefault(file.path.resolve(), name)
        if first != name:
            raise UsageError(f"{first} and {name} are one file", fix="Name different checkpoints.")


def _progress_of(index: int, count: int, on_progress: Callable[[int, int], None]) -> Callable[[int, int], None]:
    """Return a progress function for model number ``index`` of ``count`` that work through the same files."""
    return lambda done, total: on_progress(index * total + done, count * total)

"""Score trial lists with one model, at every width."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mrlspk.config import Config
from mrlspk.config.evaluation import EvaluationConfig
from mrlspk.data.metadata import Metadata, read_metadata
from mrlspk.errors import CheckpointError, UsageError
from mrlspk.evaluation.baselines import BaselineResults, score_baselines
from mrlspk.evaluation.calibration_file import CalibrationFile, find_calibration_for
from mrlspk.evaluation.embeddings import Embedder, build_embedder
from mrlspk.evaluation.evaluation_report import (
    EvaluationReport,
    ListRequest,
    check_columns,
    report_list,
    smallest_width,
)
from mrlspk.evaluation.model_scores import choose_dims, score_model
from mrlspk.evaluation.score_norm import build_norm_request
from mrlspk.evaluation.scored_trials import Resampling
from mrlspk.evaluation.trial_list import TrialList, TrialRequest, choose_trial_lists
from mrlspk.inference.backend import LoadedBackend, load_backend
from mrlspk.inference.model_file import ModelFile

if TYPE_CHECKING:
    from mrlspk.evaluation.model_origin import Origin


@dataclass(frozen=True)
class EvaluationRequest:
    """What is wanted of an evaluation, beside what the configuration says.

    Attributes:
        trials: Which trials.
        dims: Prefix widths, rising; None: all that the model was trained for.
        allow_untrained_dim: Score widths that the model has but was not trained for.
        durations: Seconds to which the test side is cut for further figures; None among them is the whole.
        metadata: Table of utterances or speakers.
        by: Columns of the metadata or of the trial lists, by which the figures are broken down.
        calibration: Its file; None: the one beside the checkpoint, if there is one.
        use_calibration: Whether scores are calibrated at all.
        target_eer: Equal error rate, in [0, 1], that the smallest width is sought for; None for no search.
        baselines: Whether the trials are scored by what the model came from too.
    """

    trials: TrialRequest = TrialRequest()
    dims: tuple[int, ...] | None = None
    allow_untrained_dim: bool = False
    durations: tuple[float | None, ...] = ()
    metadata: Path | None = None
    by: tuple[str, ...] = ()
    calibration: Path | None = None
    use_calibration: bool = True
    target_eer: float | None = None
    baselines: bool = False


def evaluate(
    model: ModelFile,
    request: EvaluationRequest,
    *,
    config: Config | None = None,
    device: str = "auto",
    cache_dir: Path | None = None,
    mirror: str | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> EvaluationReport:
    """Return the figures of ``model`` on each trial list.

    Args:
        model: Checkpoint.
        request: What is wanted.
        config: Its ``evaluation`` section and ``seed`` are used.
        device: auto, cpu, cuda, cuda:N or mps.
        cache_dir: Folder in which embeddings and fetched models are kept; None for nowhere.
        mirror: URL or folder with copies of the published files.
        on_progress: Called with (recordings done, all recordings).

    Raises:
        CheckpointError: If the file is no model, the calibration is not one of it, or baselines are asked for and what
            it came from is not known or not there.
        UsageError: If the model does not have a width, or what is asked for does not go together.
        DataError: If there are no trials, or a list, an utterance, the cohort or the metadata cannot be used.
    """
    config = config or Config()
    settings, metadata = config.evaluation, _read_metadata(request)
    _check_baselines(request, settings)
    loaded = load_backend(model, device=device)
    backend = loaded.backend
    dims = choose_dims(backend, request.dims, allow_untrained=request.allow_untrained_dim, model=model.path)
    lists = choose_trial_lists(request.trials, config=config, carried={model.path: loaded.config})
    check_columns(lists, request.by, metadata)
    origin = _find_origin(loaded, model, cache_dir=cache_dir, mirror=mirror) if request.baselines else None
    embedder = build_embedder(backend, settings, cache_dir=cache_dir, on_progress=on_progress)
    norm = build_norm_request(settings, fingerprint=embedder.fingerprint, embed_dim=backend.embed_dim)
    calibration = None
    if request.use_calibration:
        calibration = find_calibration_for(model, embedder.fingerprint, request.calibration, norm=norm, dims=dims)
    crops = tuple(seconds for seconds in request.durations if seconds is not None)
    scored = score_model(embedder, lists, dims, crops=crops, norm=norm)
    wanted = _build_list_request(config, request, metadata, calibration)
    baselines = _score_baselines(origin, embedder, lists, dims, p_target=settings.p_target[0])
    reports = tuple(
        report_list(each, wanted, baselines=its_baselines)
        for each, its_baselines in zip(scored, baselines, strict=True)
    )
    target = request.target_eer
    return EvaluationReport(
        model=model.path,
        fingerprint=embedder.fingerprint,
        dims=dims,
        settings=settings,
        seed=config.seed,
        norm=norm,
        calibration=calibration,
        trials=reports,
        target_eer=target,
        target_widths=() if target is None else tuple(smallest_width(r.path, r.results, target) for r in reports),
        scored=scored,
    )


def _check_baselines(request: EvaluationRequest, settings: EvaluationConfig) -> None:
    if request.baselines and settings.score_norm != "none":
        raise UsageError(
            "baselines are scored by plain cosines, the model by normalised scores",
            "--baselines",
            "Leave it out, or the score normalisation.",
        )


def _find_origin(loaded: LoadedBackend, model: ModelFile, *, cache_dir: Path | None, mirror: str | None) -> "Origin":
    """Return what a model came from.

    Raises:
        CheckpointError: If it is not a PyTorch checkpoint, or does not say.
    """
    if loaded.checkpoint is None:
        raise CheckpointError("baselines need a PyTorch checkpoint", model.path, "Leave --baselines out.")
    from mrlspk.evaluation.model_origin import find_origin  # other models need no PyTorch network

    return find_origin(loaded.checkpoint, model.path, cache_dir=cache_dir, mirror=mirror)


def _score_baselines(
    origin: "Origin | None", embedder: Embedder, lists: Sequence[TrialList], dims: tuple[int, ...], *, p_target: float
) -> tuple[tuple[BaselineResults, ...], ...]:
    """Return the baselines of each list; none where they are not asked for."""
    if origin is None:
        return ((),) * len(lists)
    return score_baselines(origin, embedder, lists, dims=dims, p_target=p_target)


def _build_list_request(
    config: Config, request: EvaluationRequest, metadata: Metadata | None, calibration: CalibrationFile | None
) -> ListRequest:
    return ListRequest(
        p_targets=config.evaluation.p_target,
        false_accept_rates=config.evaluation.false_accept_rates,
        resampling=Resampling(config.evaluation.n_resamples, config.seed),
        durations=request.durations,
        by=request.by,
        metadata=metadata,
        calibration=calibration.content if calibration else None,
    )


def _read_metadata(request: EvaluationRequest) -> Metadata | None:
    if request.metadata is not None and not request.by:
        raise UsageError("a table without a column to go by", "--metadata", "Name a column with --by.")
    return None if request.metadata is None else read_metadata(request.metadata)

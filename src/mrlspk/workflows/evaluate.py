"""Score trial lists with one model, at every width."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mrlspk.config import Config
from mrlspk.config.evaluation import EvaluationConfig
from mrlspk.data.metadata import Metadata, read_metadata
from mrlspk.errors import CheckpointError, UsageError
from mrlspk.evaluation.baselines import BaselineResults, score_baselines
from mrlspk.evaluation.calibration_file import CalibrationFile, find_calibration_for
from mrlspk.evaluation.embedder import Embedder, EmbeddingSource
from mrlspk.evaluation.evaluation_report import (
    EvaluationReport,
    ListRequest,
    check_columns,
    report_list,
    smallest_width,
)
from mrlspk.evaluation.list_doubts import warn_of_chosen, warn_of_doubts
from mrlspk.evaluation.run_checkpoints import without_held_out
from mrlspk.evaluation.score_lists import score_model
from mrlspk.evaluation.score_norm import build_norm_request
from mrlspk.evaluation.scored_model import ScoredModel, find_trials, open_scored
from mrlspk.evaluation.scored_trials import Resampling
from mrlspk.evaluation.trial_list import TrialList, TrialRequest
from mrlspk.files import OnProgress
from mrlspk.inference.model_file import ModelFile

if TYPE_CHECKING:
    from mrlspk.evaluation.model_origin import Origin


@dataclass(frozen=True)
class EvaluationRequest:
    """The request of an evaluation, besides the configuration.

    Attributes:
        trials: The trials to score.
        dims: Prefix widths, rising; None for all that the model was trained for.
        allow_untrained_dim: Score widths that the model has but was not trained for.
        durations: Seconds that the test side is cropped to for further metrics; None among them is the whole recording.
        metadata: Table of utterances or speakers.
        by: Columns of the metadata or of the trial lists to break down by.
        calibration: Calibration file; None for the one beside the checkpoint, if it exists.
        use_calibration: Whether to calibrate scores at all.
        target_eer: Find the smallest width with at most this equal error rate, in [0, 1]; None for no search.
        baselines: Whether to score the original embedding too.
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
    on_progress: OnProgress | None = None,
) -> EvaluationReport:
    """Return the metrics of ``model`` on each trial list.

    Args:
        model: Checkpoint, or a file of vectors.
        request: The request.
        config: Its ``evaluation`` section and ``seed`` are used.
        device: auto, cpu, cuda, cuda:N or mps.
        cache_dir: Folder of cached embeddings and models; None for no cache.
        mirror: URL or folder with copies of the published files.
        on_progress: Called with (recordings done, all recordings).

    Raises:
        CheckpointError: If the file is not a model, the calibration is of another model, or the original model of the
            baselines is unknown or missing.
        UsageError: If the model does not have a width, or parts of the request contradict each other.
        DataError: If there are no trials, or a list, an utterance, the cohort or the metadata cannot be used.
    """
    config = config or Config()
    model = without_held_out(model, request.trials, config)
    settings, metadata = config.evaluation, _read_metadata(request)
    _check_baselines(request, settings)
    _check_crops(request, model)
    loaded = open_scored(
        model, settings, device=device, cache_dir=cache_dir, speakers=request.trials.speakers, on_progress=on_progress
    )
    embedder, settings = loaded.embedder, loaded.settings
    dims = loaded.choose_dims(request.dims, allow_untrained=request.allow_untrained_dim)
    lists = find_trials(request.trials, [loaded], config)
    check_columns(lists, request.by, metadata)
    origin = _find_origin(loaded, model, cache_dir=cache_dir, mirror=mirror) if request.baselines else None
    norm = build_norm_request(settings, embedder)
    calibration = None
    if request.use_calibration:
        calibration = find_calibration_for(
            model,
            embedder.fingerprint,
            request.calibration,
            norm=norm,
            dims=dims,
            speech=embedder.speech,
            metadata=loaded.metadata,
        )
    crops = tuple(seconds for seconds in request.durations if seconds is not None)
    scored = score_model(embedder, lists, dims, crops=crops, norm=norm)
    wanted = _build_list_request(config, request, metadata, calibration)
    baselines = _score_baselines(origin, embedder, lists, dims, p_target=settings.p_target[0])
    reports = tuple(
        report_list(each, wanted, baselines=its_baselines)
        for each, its_baselines in zip(scored, baselines, strict=True)
    )
    for each, report in zip(scored, reports, strict=True):
        warn_of_chosen(report.path, report.sha256, {model.path.name: loaded.checkpoint})
        warn_of_doubts(report.path, each.scored, [report.results[-1].eer])
    target = request.target_eer
    return EvaluationReport(
        model=model.path,
        fingerprint=embedder.fingerprint,
        dims=dims,
        settings=settings,
        seed=config.seed,
        speech_detector=embedder.speech_version,
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
            "baselines have plain cosines, the model would have normalised scores",
            fix="Leave out `baselines` or the score normalisation.",
            parameter="baselines",
        )


def _check_crops(request: EvaluationRequest, model: ModelFile) -> None:
    if model.is_vectors and request.durations:
        raise UsageError("vectors have no audio to crop", fix="Leave it out.", parameter="durations")


def _find_origin(loaded: ScoredModel, model: ModelFile, *, cache_dir: Path | None, mirror: str | None) -> "Origin":
    """Return the original model.

    Raises:
        CheckpointError: If the model is not a PyTorch checkpoint, or does not name it.
    """
    if loaded.checkpoint is None or not isinstance(loaded.embedder, Embedder):
        raise CheckpointError("baselines need a PyTorch checkpoint", model.path, "Leave `baselines` out.")
    from mrlspk.evaluation.model_origin import find_origin  # other models need no PyTorch network

    backend = loaded.embedder.backend
    return find_origin(loaded.checkpoint, model.path, backend=backend, cache_dir=cache_dir, mirror=mirror)


def _score_baselines(
    origin: "Origin | None",
    embedder: EmbeddingSource,
    lists: Sequence[TrialList],
    dims: tuple[int, ...],
    *,
    p_target: float,
) -> tuple[tuple[BaselineResults, ...], ...]:
    """Return the baselines of each list; none if they are not requested."""
    if origin is None or not isinstance(embedder, Embedder):
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
        raise UsageError("given without a column", fix="Name a column with `by`.", parameter="metadata")
    return None if request.metadata is None else read_metadata(request.metadata)

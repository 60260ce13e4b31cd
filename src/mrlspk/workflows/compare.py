"""Score the same trial lists with two or more models."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mrlspk.config import Config
from mrlspk.errors import UsageError
from mrlspk.evaluation.list_comparison import ComparedTrials, ComparisonReport, common_dims, compare_scores
from mrlspk.evaluation.list_doubts import warn_of_chosen, warn_of_doubts
from mrlspk.evaluation.run_checkpoints import CANDIDATES, RunCheckpoint, without_held_out
from mrlspk.evaluation.score_files import ModelScores, ScoredAs, keep_scores
from mrlspk.evaluation.score_lists import score_model
from mrlspk.evaluation.score_norm import build_norm_request
from mrlspk.evaluation.scored_model import ScoredModel, find_trials, open_scored
from mrlspk.evaluation.scored_trials import Resampling
from mrlspk.evaluation.stored_vectors import UNKNOWN
from mrlspk.evaluation.trial_list import TrialRequest
from mrlspk.files import OnProgress
from mrlspk.inference.model_file import ModelFile

BEST = f"{CANDIDATES[-1]}.pt"

log = logging.getLogger("mrlspk.evaluation")


@dataclass(frozen=True)
class ComparisonRequest:
    """The request of a comparison, besides the configuration.

    Attributes:
        models: Checkpoint, file of vectors or stored scores by name, in the order of the report.
        trials: The trials to score the checkpoints on.
        dims: Prefix widths, rising; None for all that every model was trained for.
        allow_untrained_dim: Score widths that a model has but was not trained for.
        run: Checkpoints of one run by epoch, each paired with the next only; otherwise every two models are paired.
    """

    models: Mapping[str, ModelFile | ModelScores]
    trials: TrialRequest = TrialRequest()
    dims: tuple[int, ...] | None = None
    allow_untrained_dim: bool = False
    run: tuple[RunCheckpoint, ...] = ()

    @property
    def files(self) -> dict[str, ModelFile]:
        """The models to score."""
        return {name: model for name, model in self.models.items() if isinstance(model, ModelFile)}

    @property
    def stored(self) -> dict[str, ModelScores]:
        """The models with stored scores."""
        return {name: model for name, model in self.models.items() if isinstance(model, ModelScores)}


def compare(
    request: ComparisonRequest,
    *,
    config: Config | None = None,
    device: str = "auto",
    cache_dir: Path | None = None,
    on_progress: OnProgress | None = None,
) -> ComparisonReport:
    """Return the metrics of each model and their differences, by list and width.

    Args:
        request: The request.
        config: Its ``evaluation`` section and ``seed`` are used.
        device: auto, cpu, cuda, cuda:N or mps.
        cache_dir: Folder of cached embeddings; None for no cache.
        on_progress: Called with (recordings done, all recordings), each recording counted once per model.

    Raises:
        CheckpointError: If a file is not a model.
        UsageError: If there are fewer than two different models, a model lacks a width, or trials are given but all
            models are stored scores.
        DataError: If there are no trials, a list or an utterance cannot be used, or stored scores are of other trials.
    """
    _check_distinct(request)
    config = config or Config()
    settings = config.evaluation
    loaded = {
        name: open_scored(
            without_held_out(file, request.trials, config),
            settings,
            device=device,
            cache_dir=cache_dir,
            speakers=request.trials.speakers,
            on_progress=on_progress and _progress_of(index, len(request.files), on_progress),
        )
        for index, (name, file) in enumerate(request.files.items())
    }
    dims = _choose_dims(request, loaded)
    fresh = _score(request, loaded, dims, config) if loaded else {}
    known = fresh | request.stored
    scores = {name: known[name] for name in request.models}
    _warn_of_doubts(scores)
    trials = compare_scores(
        {name: each.lists for name, each in scores.items()},
        dims,
        settings.p_target[0],
        Resampling(settings.n_resamples, config.seed),
        neighbours=bool(request.run),
    )
    _warn_of_lists(trials, next(iter(scores.values())), loaded)
    return ComparisonReport(
        models=tuple(scores),
        fingerprints={name: each.fingerprint for name, each in scores.items()},
        scored_as={name: each.scored_as for name, each in scores.items()},
        dims=dims,
        p_target=settings.p_target[0],
        resampling=Resampling(settings.n_resamples, config.seed),
        run=request.run,
        trials=trials,
    )


def _score(
    request: ComparisonRequest,
    loaded: Mapping[str, ScoredModel],
    dims: tuple[int, ...],
    config: Config,
) -> dict[str, ModelScores]:
    """Return the scores of each checkpoint, one after the other, on the same lists."""
    lists = find_trials(request.trials, list(loaded.values()), config)
    scores = {}
    for name, model in loaded.items():
        embedder = model.embedder
        norm = build_norm_request(model.settings, embedder)
        scored = score_model(embedder, lists, dims, norm=norm)
        scored_as = ScoredAs.of(norm, model.settings, embedder.speech_version)
        scores[name] = keep_scores(embedder.fingerprint, scored_as, scored)
    return scores


def _choose_dims(request: ComparisonRequest, loaded: Mapping[str, ScoredModel]) -> tuple[int, ...]:
    """Return the requested widths, or those that all models and stored scores have."""
    for model in loaded.values():
        model.choose_dims(request.dims, allow_untrained=request.allow_untrained_dim)
    known = {name: model.dims for name, model in loaded.items()}
    stored = {name: each.lists[0].scored.dims for name, each in request.stored.items()}
    if request.dims is None:
        return common_dims(known | stored)
    for name, dims in stored.items():
        if absent := sorted(set(request.dims) - set(dims)):
            found = ", ".join(map(str, dims))
            raise UsageError(f"has no scores at width {absent[0]}", name, f"Its widths: {found}.", parameter="dims")
    return request.dims


def _warn_of_doubts(scores: Mapping[str, ModelScores]) -> None:
    """Warn if two models are the same, or were scored in different ways."""
    seen: dict[tuple[str, ScoredAs], str] = {}
    for name, each in scores.items():
        first = seen.setdefault((each.fingerprint, each.scored_as), name)
        if first != name and each.fingerprint != UNKNOWN and not _is_chosen(Path(name), Path(first)):
            log.warning("%s and %s have the same weights and were scored in the same way", first, name)
    (first, expected), *others = scores.items()
    for name, each in others:
        if each.scored_as != expected.scored_as:
            how = each.scored_as.describe(), expected.scored_as.describe()
            log.warning("%s was scored in another way than %s: %s; %s", name, first, *how)
        for mine, theirs in zip(each.lists, expected.lists, strict=False):
            if mine.audio_root != theirs.audio_root:
                roots = mine.audio_root, theirs.audio_root
                log.warning("%s used audio from another folder than %s: %s; %s", name, first, *roots)


def _is_chosen(best: Path, candidate: Path) -> bool:
    """Return whether a file is the best checkpoint of a run, which holds one of the candidates beside it."""
    return best.name == BEST and best.parent == candidate.parent


def _warn_of_lists(trials: Sequence[ComparedTrials], scores: ModelScores, loaded: Mapping[str, ScoredModel]) -> None:
    """Warn of lists whose figures say little; ``scores`` are those of one of the models."""
    checkpoints = {name: model.checkpoint for name, model in loaded.items()}
    for each, scored in zip(trials, scores.lists, strict=True):
        warn_of_chosen(each.path, each.sha256, checkpoints)
        warn_of_doubts(each.path, scored.scored, [model.eer for model in each.results[-1].models.values()])


def _check_distinct(request: ComparisonRequest) -> None:
    count = len(request.models)
    if count < 2:
        raise UsageError(f"expected at least two different models, got {count}", fix="Name a second checkpoint.")
    if not request.files and request.trials != TrialRequest():
        raise UsageError(
            "stored scores already have their trials",
            fix="Leave out `trials`, `audio_root`, `enroll` and `allow_missing`.",
        )
    seen: dict[Path, str] = {}
    for name, file in request.files.items():
        first = seen.setdefault(file.path.resolve(), name)
        if first != name:
            raise UsageError(f"{first} and {name} are one file", fix="Name different checkpoints.")


def _progress_of(index: int, count: int, on_progress: OnProgress) -> OnProgress:
    """Return a progress function for model number ``index`` of ``count`` that work through the same files."""
    return lambda done, total: on_progress(index * total + done, count * total)

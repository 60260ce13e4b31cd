"""Score the same trial lists with two or more models."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from mrlspk.config import Config
from mrlspk.encoding.device import find_device
from mrlspk.encoding.loading import load_located
from mrlspk.encoding.locate import ModelFile
from mrlspk.errors import UsageError
from mrlspk.evaluation.cohort import NormRequest, build_norm_request
from mrlspk.evaluation.comparison import common_dims, compare_scores
from mrlspk.evaluation.comparison_report import ComparisonReport
from mrlspk.evaluation.embeddings import build_embedder
from mrlspk.evaluation.intervals import Resampling
from mrlspk.evaluation.list_scores import ListScores
from mrlspk.evaluation.model_scores import choose_dims, score_model
from mrlspk.evaluation.run_checkpoints import RunCheckpoint
from mrlspk.evaluation.scores_file import StoredScores
from mrlspk.evaluation.sources import TrialRequest, choose_trial_lists
from mrlspk.models.checkpoints import LoadedModel


@dataclass(frozen=True)
class ComparisonRequest:
    """What is compared, beside what the configuration says.

    Attributes:
        models: Checkpoint by the name that the report calls it.
        stored: Scores that were kept, by the name that the report calls them.
        trials: Which trials.
        dims: Prefix widths, rising; None: all that every model was trained for.
        allow_untrained_dim: Score widths that a model has but was not trained for.
        run: The run whose checkpoints the models are, by epoch: each is paired with the next only; else every two are.
    """

    models: Mapping[str, ModelFile]
    stored: Mapping[str, StoredScores]
    trials: TrialRequest = TrialRequest()
    dims: tuple[int, ...] | None = None
    allow_untrained_dim: bool = False
    run: tuple[RunCheckpoint, ...] = ()


def compare(
    request: ComparisonRequest,
    *,
    config: Config | None = None,
    device: str = "auto",
    cache_dir: Path | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> ComparisonReport:
    """Return each model's figures and the differences, per list and width.

    Args:
        request: What is wanted. Its order is that of the models, then of the stored scores.
        config: Its ``evaluation`` section and ``seed`` are used.
        device: auto, cpu, cuda, cuda:N or mps.
        cache_dir: Folder in which embeddings are kept; None for nowhere.
        on_progress: Called with (recordings done, all recordings), each recording counted once a model.

    Raises:
        CheckpointError: If a file is no model.
        UsageError: If a model comes twice or alone, or a width cannot be had from each.
        DataError: If there are no trials, a list or an utterance cannot be used, or stored scores are of other lists.
    """
    _check_distinct(request)
    config = config or Config()
    loaded = {name: load_located(file) for name, file in request.models.items()}
    dims = _choose_dims(request, loaded)
    scoring = _Scoring(request, config, device, cache_dir, on_progress)
    scores, fingerprints = scoring.score(loaded, dims)
    for name, stored in request.stored.items():
        scores[name], fingerprints[name] = stored.lists, stored.fingerprint
    settings = config.evaluation
    trials = compare_scores(
        scores,
        dims,
        settings.p_target[0],
        Resampling(settings.n_resamples, config.seed),
        neighbours=bool(request.run),
    )
    return ComparisonReport(
        models=tuple(scores),
        fingerprints=fingerprints,
        dims=dims,
        settings=settings,
        seed=config.seed,
        norm=scoring.norm,
        run=request.run,
        trials=trials,
    )


class _Scoring:
    """The models scored one after the other, on the same lists."""

    def __init__(
        self,
        request: ComparisonRequest,
        config: Config,
        device: str,
        cache_dir: Path | None,
        on_progress: Callable[[int, int], None] | None,
    ) -> None:
        self._request, self._config, self._device = request, config, device
        self._cache_dir, self._on_progress = cache_dir, on_progress
        self.norm: NormRequest | None = None

    def score(
        self, loaded: Mapping[str, LoadedModel], dims: tuple[int, ...]
    ) -> tuple[dict[str, tuple[ListScores, ...]], dict[str, str]]:
        """Return the scores of each model, and its fingerprint."""
        scores: dict[str, tuple[ListScores, ...]] = {}
        fingerprints: dict[str, str] = {}
        if not loaded:
            return scores, fingerprints
        carried = {self._request.models[name].path: model.config for name, model in loaded.items()}
        lists = choose_trial_lists(self._request.trials, config=self._config, carried=carried)
        settings, device = self._config.evaluation, find_device(self._device)
        for index, (name, model) in enumerate(loaded.items()):
            progress = self._on_progress and _progress_of(index, len(loaded), self._on_progress)
            encoder = model.encoder.to(device)
            embedder = build_embedder(encoder, settings, cache_dir=self._cache_dir, on_progress=progress)
            self.norm = build_norm_request(settings, fingerprint=embedder.fingerprint, embed_dim=encoder.embed_dim)
            scored = score_model(embedder, lists, dims, norm=self.norm)
            scores[name], fingerprints[name] = tuple(map(ListScores.of, scored)), embedder.fingerprint
        return scores, fingerprints


def _choose_dims(request: ComparisonRequest, loaded: Mapping[str, LoadedModel]) -> tuple[int, ...]:
    """Return the widths asked for, or those that all models and stored scores have."""
    for name, model in loaded.items():
        choose_dims(model.encoder, request.dims, allow_untrained=request.allow_untrained_dim, model=name)
    known = {name: model.encoder.dims for name, model in loaded.items()}
    stored = {name: each.lists[0].scored.dims for name, each in request.stored.items()}
    if request.dims is None:
        return common_dims(known | stored)
    for name, dims in stored.items():
        if absent := sorted(set(request.dims) - set(dims)):
            found = ", ".join(map(str, dims))
            raise UsageError(f"holds no scores at a width of {absent[0]}", f"--dims, {name}", f"Its widths: {found}.")
    return request.dims


def _check_distinct(request: ComparisonRequest) -> None:
    count = len(request.models) + len(request.stored)
    if count < 2:
        raise UsageError(f"expected two or more different models, got {count}", fix="Name a second checkpoint.")
    seen: dict[Path, str] = {}
    for name, file in request.models.items():
        first = seen.setdefault(file.path.resolve(), name)
        if first != name:
            raise UsageError(f"{first} and {name} are one file", fix="Name different checkpoints.")


def _progress_of(index: int, count: int, on_progress: Callable[[int, int], None]) -> Callable[[int, int], None]:
    """Return a progress function for model number ``index`` of ``count`` that work through the same files."""
    return lambda done, total: on_progress(index * total + done, count * total)

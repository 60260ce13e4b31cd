"""Open a model, or a file of its vectors, to score trials with it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mrlspk.config import Config
from mrlspk.config.evaluation import EvaluationConfig
from mrlspk.errors import UsageError
from mrlspk.evaluation.embedder import Embedder, build_embedder
from mrlspk.evaluation.rotation_trials import read_rotation_trials
from mrlspk.evaluation.score_lists import choose_dims
from mrlspk.evaluation.stored_vectors import StoredVectors, load_stored_vectors
from mrlspk.evaluation.trial_list import VALIDATION_TRIALS, TrialList, TrialRequest, choose_trial_lists
from mrlspk.evaluation.vector_trials import read_vector_trials
from mrlspk.files import OnProgress
from mrlspk.inference.backend_registry import load_backend
from mrlspk.inference.model_file import ModelFile

if TYPE_CHECKING:
    from mrlspk.models.checkpoints import LoadedModel
    from mrlspk.models.graph_metadata import GraphMetadata


@dataclass(frozen=True, eq=False)
class ScoredModel:
    """A model or its vectors, ready to score.

    Attributes:
        file: The model file, or the file of vectors.
        embedder: Gives the embeddings.
        dims: Prefix widths that the model was trained for, as far as known.
        settings: The `evaluation` section; with vectors, ``speech`` is what they were embedded from.
        config: The configuration in the model file, if any.
        checkpoint: Of a PyTorch model.
        metadata: Of an exported model.
    """

    file: ModelFile
    embedder: Embedder | StoredVectors
    dims: tuple[int, ...]
    settings: EvaluationConfig
    config: dict[str, Any] | None = None
    checkpoint: "LoadedModel | None" = None
    metadata: "GraphMetadata | None" = None

    def choose_dims(self, dims: tuple[int, ...] | None, *, allow_untrained: bool) -> tuple[int, ...]:
        """Return the widths to score: the requested ones, or all that the model was trained for.

        Raises:
            UsageError: If the model does not have a width, or was not trained for it and that is not allowed.
        """
        unknown = isinstance(self.embedder, StoredVectors) and not self.embedder.knows_dims
        return choose_dims(self.dims, dims, allow_untrained=allow_untrained or unknown, model=self.file)


def open_scored(
    file: ModelFile,
    settings: EvaluationConfig,
    *,
    device: str = "auto",
    cache_dir: Path | None = None,
    speakers: Path | None = None,
    on_progress: OnProgress | None = None,
) -> ScoredModel:
    """Load a model, or the vectors that stand in for one.

    Args:
        file: Model, or vectors with a transform or head to apply or without.
        settings: Of the evaluation.
        device: auto, cpu, cuda, cuda:N or mps.
        cache_dir: Folder of cached embeddings; None for no cache.
        speakers: Speaker labels of vectors.
        on_progress: Called with (recordings done, all recordings).

    Raises:
        CheckpointError: If the file is not a model.
        DataError: If it is not a vector file.
        UsageError: If settings of audio are given with vectors, or speaker labels without.
    """
    if file.vectors is None:
        if speakers is not None:
            raise UsageError("given without vectors", fix="Leave it out.", parameter="speakers")
        loaded = load_backend(file, device=device)
        embedder = build_embedder(loaded.backend, settings, cache_dir=cache_dir, on_progress=on_progress)
        found = loaded.config, loaded.checkpoint, loaded.metadata
        return ScoredModel(file, embedder, loaded.backend.dims, settings, *found)
    for parameter, is_given in (("speech", settings.speech != "all"), ("channel", settings.channel != "mix")):
        if is_given:
            raise UsageError("vectors are no audio", fix="Leave it out.", parameter=parameter)
    map_path = None if file.is_plain_vectors else file.path
    stored = load_stored_vectors(file.vectors, speakers=speakers, map_path=map_path)
    return ScoredModel(file, stored, stored.dims, settings.model_copy(update={"speech": stored.speech_mode}))


def find_trials(request: TrialRequest, models: Sequence[ScoredModel], config: Config) -> tuple[TrialList, ...]:
    """Return the trial lists to score with every model, or with the vectors of every file.

    Raises:
        UsageError: If models and vectors are mixed, or the request does not fit them.
        DataError: If there are no trials, or they cannot be scored.
        CheckpointError: If the configuration in a checkpoint is invalid.
    """
    stores = [each.embedder for each in models if isinstance(each.embedder, StoredVectors)]
    if not stores:
        if not _names_trials(request, config) and (own := _trials_of_rotation(request, models)):
            return (own,)
        carried = {each.file.path: each.config for each in models}
        return choose_trial_lists(request, config=config, carried=carried)
    if len(stores) < len(models):
        model = next(each.file.typed for each in models if not each.file.is_vectors)
        fix = f"Embed the recordings first: mrlspk embed DIR --model {model} -o FILE.npz"
        raise UsageError(f"models cannot be compared with vectors, got {model}", fix=fix, parameter="vectors")
    if not request.paths and (path := _trials_of_run(models)):
        request = replace(request, paths=(path,))
    return read_vector_trials(request, stores)


def _names_trials(request: TrialRequest, config: Config) -> bool:
    given = request.paths or request.audio_roots or request.enrolments
    return bool(given or config.evaluation.trials or config.evaluation.test_datasets)


def _trials_of_rotation(request: TrialRequest, models: Sequence[ScoredModel]) -> TrialList | None:
    """Return the trials beside the first rotated model that has some."""
    for each in models:
        if each.checkpoint is None:
            continue
        from mrlspk.models.checkpoints import schema  # other models need no PyTorch

        if (entry := each.checkpoint.contents.get(schema.TRIALS)) is not None:
            return read_rotation_trials(each.file.path, entry, allow_missing=request.allow_missing)
    return None


def _trials_of_run(models: Sequence[ScoredModel]) -> Path | None:
    """Return the validation trials beside heads that one run wrote, if there are any."""
    folders = {each.file.path.parent.resolve() for each in models if not each.file.is_plain_vectors}
    path = folders.pop() / VALIDATION_TRIALS if len(folders) == 1 else None
    return path if path and path.is_file() else None

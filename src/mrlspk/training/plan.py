"""Plan a run: its configuration, its data, and where it is written."""

import logging
import shlex
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from mrlspk.config import Config
from mrlspk.data.build import TrainingData, build_sampler, build_training_data, check_disjoint
from mrlspk.data.corpora.recipe_registry import scan_corpus
from mrlspk.data.crops.dataset import SampleKey
from mrlspk.data.crops.sampler import RankBatches
from mrlspk.data.held_out import TooFewSpeakersError
from mrlspk.data.trials import read_trials
from mrlspk.distributed import Ranks
from mrlspk.errors import ConfigError, DataError
from mrlspk.training.corpus_sizes import check_batch, n_passes
from mrlspk.training.start_model import StartModel, check_fits_vectors, default_dims, with_dims
from mrlspk.training.vector_corpus import VectorData, read_vector_data

log = logging.getLogger("mrlspk.training")


@dataclass(frozen=True)
class RunPlan:
    """An immutable plan of a run: configuration, data and output folder.

    Attributes:
        config: The resolved configuration.
        data: Corpora and validation trials.
        run_dir: Folder of the run.
        cache_dir: Folder of fetched models.
        mirror: URL or folder with copies of the published files.
        resume_path: The checkpoint that the run is resumed from; None for a new run.
        allow_changes: Resume with another corpus, configuration or number of processes.
        max_batches: End each epoch after so many batches; None for whole epochs.
        start: The model of another toolkit that a new run starts from; None for any other start.
    """

    config: Config
    data: TrainingData
    run_dir: Path
    cache_dir: Path | None
    mirror: str | None = None
    resume_path: Path | None = None
    allow_changes: bool = False
    max_batches: int | None = None
    start: StartModel | None = None

    @property
    def resumes(self) -> bool:
        """Whether the run is resumed from a checkpoint of its own."""
        return self.resume_path is not None

    @property
    def corpus(self) -> dict[str, str]:
        """Fingerprints of the training utterances and of the validation trials."""
        return {"training": self.data.train.fingerprint, "validation": self.data.validation_trials.sha256}

    def name_crop(self, key: SampleKey) -> str:
        """Return the id of the utterance that a crop, or a stored vector, comes from."""
        return self.data.train.utterance_id(key.index)


def read_corpora(config: Config) -> TrainingData:
    """Return the corpora of a run, audio or vectors, and its validation trials.

    Raises:
        DataError: If a corpus is at fault, or training and validation share speakers.
    """
    read = read_vector_data if config.data.vectors else build_training_data
    try:
        return read(config.data, seed=config.seed)
    except TooFewSpeakersError as error:
        fix = f"{_instead_of_training(config)}\nOr train all the same, with data.n_validation_speakers."
        raise DataError(error.what, error.where, fix) from error


def _instead_of_training(config: Config) -> str:
    """Return what suits a corpus of few speakers: a rotation, which needs less speech than a trained head."""
    data, quote = config.data, shlex.quote
    told = "Rotate the model in place of training it"
    if len(data.vectors) == 1 and data.speakers:
        files = quote(str(data.vectors[0])), quote(str(data.speakers))
        return "{}:\n  mrlspk rotate --vectors {} --speakers {} -o rotated.npz".format(told, *files)
    if len(data.vectors) == 1:
        return f"{told}:\n  mrlspk rotate --vectors {quote(str(data.vectors[0]))} -o rotated.npz"
    if config.base_model is None or data.vectors or len(data.training_corpora) > 1:
        return "Add speech."
    suffix = ".npz" if Path(config.base_model).suffix == ".onnx" else ".pt"
    (corpus,) = data.training_corpora
    speech = quote(str(corpus.path)) + ("" if corpus.corpus == "auto" else f" --corpus {quote(corpus.corpus)}")
    speech += "".join(f" --exclude {quote(str(path))}" for path in data.exclude)
    return f"{told}:\n  mrlspk rotate {quote(config.base_model)} --speech {speech} -o rotated{suffix}"


def warn_of_unused_corpora(config: Config, named_keys: Collection[str]) -> None:
    """Warn if a run on vectors was given folders of speech too."""
    for key in ("train_dataset", "val_dataset"):
        if config.data.vectors and f"data.{key}" in named_keys and getattr(config.data, key) is not None:
            log.warning("data.%s is not used: the run is on data.vectors", key)


def read_data(config: Config) -> TrainingData:
    """Return the corpora and the validation trials of a run.

    Raises:
        DataError: If the corpus is at fault, or training, validation and test share speakers.
    """
    data = read_corpora(config)
    for trial_list in config.evaluation.trials:
        trials = read_trials(trial_list.path)
        check_disjoint(data.names_among(trials.utterance_ids), trials.possible_speakers, where=str(trial_list.path))
    for folder in config.evaluation.test_datasets.values():
        corpus = scan_corpus(folder)
        ids = [each.utterance_id for each in corpus.utterances]
        check_disjoint(data.names_among(ids), corpus.speakers, where=str(folder))
    return data


def choose_widths(config: Config, data: TrainingData, start: StartModel | None = None) -> Config:
    """Return the configuration with widths for vectors of any width.

    By default these are the widths that the file of vectors names, or 64, 128 and their full width.

    Args:
        config: Returned as it is for audio, and if it names widths.
        data: Of the run.
        start: Model of another toolkit that it starts from, which the vectors must fit.

    Raises:
        DataError: If the vectors are of another width or model than the start.
        ConfigError: If a configured width is wider than the vectors, or the widths do not fit other settings.
    """
    if not isinstance(data, VectorData):
        return config
    if start:
        check_fits_vectors(start, data.vectors)
    full, wanted = data.vectors.dim, config.model.matryoshka_dims
    if "matryoshka_dims" not in config.model.model_fields_set:
        own = tuple(dim for dim in data.vectors.origin.dims or () if dim <= full)
        return with_dims(config, own if len(own) > 1 else default_dims(full))
    if too_wide := [dim for dim in wanted if dim > full]:
        what = f"expected widths up to {full}, as the vectors in {data.vectors.paths[0]} have, got {too_wide[0]}"
        raise ConfigError(what, "model.matryoshka_dims", f"Give widths up to {full}.")
    return config


def build_batches(config: Config, data: TrainingData, ranks: Ranks) -> RankBatches:
    """Return the order of crops, or of stored vectors in a head run, and their split into batches.

    Raises:
        ConfigError: If an epoch does not fill a batch.
    """
    reads_audio = not config.trains_head_alone  # a head is trained on stored vectors
    shards = data.train.number_shards() if config.data.shuffle_window and reads_audio else None
    classes, weights = data.train.classes_of(n_passes(config)), data.train.weights_of(n_passes(config))
    sampler = build_sampler(classes, config.data, seed=config.seed, shards=shards, weights=weights)
    batches = RankBatches(sampler, batch_size=config.training.batch, rank=ranks.rank, n_ranks=ranks.world_size)
    check_batch(config, len(sampler), batches.crops_of_all)
    return batches

"""Plan a run: its configuration, its data, and where it is written."""

from dataclasses import dataclass
from pathlib import Path

from mrlspk.config import Config
from mrlspk.data.build import TrainingData, build_sampler, build_training_data, check_disjoint
from mrlspk.data.corpora.recipe_registry import scan_corpus
from mrlspk.data.dataset import SampleKey
from mrlspk.data.sampler import RankBatches
from mrlspk.data.trials import read_trials
from mrlspk.distributed import Ranks
from mrlspk.errors import ConfigError


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
    """

    config: Config
    data: TrainingData
    run_dir: Path
    cache_dir: Path
    mirror: str | None = None
    resume_path: Path | None = None
    allow_changes: bool = False
    max_batches: int | None = None

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


def read_data(config: Config) -> TrainingData:
    """Return the corpora and the validation trials of a run.

    Raises:
        DataError: If the corpus is at fault, or training, validation and test share speakers.
    """
    data = build_training_data(config.data, seed=config.seed)
    seen = {*data.train.speakers, *data.validation.speakers}
    for trial_list in config.evaluation.trials:
        check_disjoint(seen, read_trials(trial_list.path).possible_speakers, where=str(trial_list.path))
    for folder in config.evaluation.test_datasets.values():
        check_disjoint(seen, scan_corpus(folder).speakers, where=str(folder))
    return data


def build_batches(config: Config, data: TrainingData, ranks: Ranks) -> RankBatches:
    """Return the order of crops, or of stored vectors in a head run, and their split into batches.

    Raises:
        ConfigError: If an epoch does not fill a batch.
    """
    sampler = build_sampler(data.train.classes_of(n_passes(config)), config.data, seed=config.seed)
    batches = RankBatches(sampler, batch_size=config.training.batch, rank=ranks.rank, n_ranks=ranks.world_size)
    if not len(batches):
        raised = "features.crops_per_utterance" if config.trains_head_alone else "data.crops_per_epoch"
        raise ConfigError(
            f"an epoch of {len(sampler)} crops does not fill a batch of {batches.crops_of_all}",
            "training.batch_size",
            f"Lower it, or raise {raised}.",
        )
    return batches


def n_passes(config: Config) -> int:
    """Return the number of crops of each utterance and speed in an epoch, each with its own index."""
    return config.features.crops_per_utterance if config.trains_head_alone else 1

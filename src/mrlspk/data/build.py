"""Build the training data of a configuration: crops, their order, and validation trials of held-out speakers."""

import logging
import os
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from mrlspk.config.data import DataConfig
from mrlspk.data.augmentation.build import build_augmentation
from mrlspk.data.augmentation.steps import Augmentation
from mrlspk.data.corpora.joined import (
    CorpusPart,
    domains_of_parts,
    label_corpora,
    names_in_corpora,
    scan_corpora,
)
from mrlspk.data.corpora.recipe_registry import list_corpus, recipe_for
from mrlspk.data.crops.dataset import CropDataset
from mrlspk.data.crops.loader import WatchedLoader, count_workers
from mrlspk.data.crops.sampler import RankBatches, ShuffleSampler, SpeakerBalancedSampler
from mrlspk.data.crops.weights import class_weights
from mrlspk.data.exclude import leave_out
from mrlspk.data.held_out import Domains, draw_trials, hold_out, read_domains, some_speakers
from mrlspk.data.left_out import LeftOut
from mrlspk.data.manifest import Manifest
from mrlspk.data.metadata import read_metadata, speaker_values
from mrlspk.data.remote import as_url, is_url
from mrlspk.data.shards.order import ShardWindow
from mrlspk.data.trials import Trials
from mrlspk.errors import ConfigError, DataError, UsageError
from mrlspk.reading import is_file, is_folder

logger = logging.getLogger("mrlspk.data")

SHOWN = 5  # speakers named in a message


@dataclass(frozen=True)
class TrainingData:
    """The corpus and crops to train on, and the speakers and trials to validate on.

    Attributes:
        domains: Domain of each validation speaker, such as its corpus; empty if all are of one.
        parts: The training corpora.
    """

    corpus: Manifest
    train: CropDataset
    validation: Manifest
    validation_trials: Trials
    domains: Domains = field(default_factory=dict)
    parts: tuple[CorpusPart, ...] = ()

    def names_among(self, utterance_ids: Collection[str]) -> frozenset[str]:
        """Return the names of training and validation speakers whom utterances with these ids may be of."""
        own, others = {*self.train.speakers}, {*self.validation.speakers}
        if self.validation.root == self.corpus.root:
            own, others = own | others, set()
        return frozenset(others).union(names_in_corpora(own, self.parts, utterance_ids) if self.parts else own)

    @property
    def left_out(self) -> tuple[LeftOut, ...]:
        """What is not used of both corpora, with their paths."""
        corpora = {each.root: each for each in (self.corpus, self.validation)}
        return tuple(left_out.within(root) for root, corpus in corpora.items() for left_out in corpus.left_out)


def build_training_data(config: DataConfig, *, seed: int) -> TrainingData:
    """Scan the corpora, hold out validation speakers and draw their trials.

    Raises:
        DataError: If a corpus is absent or too small, or training and validation share a speaker.
    """
    parts = training_parts(config)
    corpora = [scan_corpora(parts).at_channel(config.channel)]
    if config.val_dataset is not None:
        hold_out = ", or to null to hold speakers out of data.train_dataset"
        _check_there(config, "val_dataset", config.val_dataset, hold_out)
        corpora.append(list_corpus(config.val_dataset).at_channel(config.channel))
    corpus, *rest = leave_out(corpora, config.exclude, [part.label for part in parts])
    for each in (corpus, *rest):
        each.check_names()
    others = rest[0] if rest else None
    domains = domains_of(corpus if others is None else others, config)
    if not domains and others is None:
        domains = domains_of_parts(corpus.speakers, parts)
    corpus, validation = split_corpus(corpus, others, config, seed=seed, domains=domains)
    if others is not None:
        names = names_in_corpora(corpus.speakers, parts, [each.utterance_id for each in validation.utterances])
        check_disjoint(names, validation.speakers, where="data.val_dataset")
    trials = draw_validation_trials(validation, config, seed=seed, domains=domains)
    return TrainingData(corpus, build_crops(corpus, config, seed=seed), validation, trials, domains, parts)


def training_parts(config: DataConfig) -> tuple[CorpusPart, ...]:
    """Return the corpora to train on, each with the label that its ids begin with if there are several.

    Raises:
        DataError: If one is absent, or there twice.
        ConfigError: If there is no such recipe.
    """
    seen: dict[tuple[str, str], int] = {}
    for number, entry in enumerate(config.training_corpora):
        key = "train_dataset" if isinstance(config.train_dataset, Path) else f"train_dataset[{number}].path"
        _check_there(config, key, entry.path, "")
        try:
            recipe_for(entry.path, entry.corpus)
        except UsageError as fault:
            raise ConfigError(fault.what, f"data.train_dataset[{number}].corpus", fault.fix) from fault
        place = as_url(entry.path) or os.path.realpath(entry.path)
        if (first := seen.setdefault((place, entry.corpus), number)) != number:
            what = f"expected different corpora, got that of data.train_dataset[{first}] again"
            raise DataError(
                what, f"data.{key}: {entry.path}", "Name each corpus once; give it a weight to use it more."
            )
    return label_corpora([(each.path, each.corpus, each.weight) for each in config.training_corpora])


def build_crops(corpus: Manifest, config: DataConfig, *, seed: int) -> CropDataset:
    """Return the configured crops of a corpus.

    Raises:
        DataError: If a folder of noise or room responses is absent or empty.
    """
    return CropDataset(
        corpus,
        crop_seconds=config.chunk_duration,
        seed=seed,
        speeds=(1.0, *config.speed_perturbation),
        augmentation=build_augmentation(config),
        sample_rate=config.sample_rate,
        max_unreadable=config.max_unreadable,
    )


def _check_there(config: DataConfig, key: str, folder: Path, otherwise: str) -> None:
    """Refuse a corpus of a key that is absent.

    Raises:
        DataError: If it is.
    """
    if is_url(folder) or is_folder(folder, DataError) or is_file(folder, DataError):
        return
    origin = "" if key.partition("[")[0] in config.model_fields_set else " (default)"
    fix = "Check the path."
    if "[" not in key:
        fix = f"{fix} Set it with `set=data.{key}=DIR`{otherwise}."
    raise DataError("no such folder", f"data.{key}{origin}: {folder}", fix)


def domains_of(corpus: Manifest, config: DataConfig) -> Domains:
    """Return the configured domain of each speaker that may be validated on; empty if none is configured."""
    if config.domain is None or config.validation_metadata is None:
        return {}
    return read_domains(corpus, config.domain, config.validation_metadata)


def split_corpus(
    corpus: Manifest, others: Manifest | None, config: DataConfig, *, seed: int, domains: Domains
) -> tuple[Manifest, Manifest]:
    """Return what to train on, and whom to validate on: some of ``others``, or without them held out of ``corpus``.

    Raises:
        DataError: If there are too few speakers.
    """
    wanted = config.n_validation_speakers
    if others is None:
        validation = hold_out(corpus, wanted, seed=seed, domains=domains)
        return corpus.without_speakers(validation.speakers), validation
    validation = some_speakers(others, wanted, seed=seed, domains=domains)
    if len(validation.speakers) < (wanted or 0):
        logger.warning("%s: %d speakers to validate on", validation.root, len(validation.speakers))
    return corpus, validation


def draw_validation_trials(validation: Manifest, config: DataConfig, *, seed: int, domains: Domains) -> Trials:
    """Return the configured trials among the speakers to validate on."""
    match = None
    if config.validation_match is not None and config.validation_metadata is not None:
        match = speaker_values(validation, read_metadata(config.validation_metadata), config.validation_match)
    return draw_trials(validation, config.n_validation_trials, seed=seed, match=match, domains=domains)


def place_augmentation(dataset: CropDataset, config: DataConfig, device: torch.device) -> Augmentation | None:
    """Let the crops of a dataset be augmented where the configuration says; return their augmentation.

    Raises:
        ConfigError: If that is a GPU, and the run is on another device.
    """
    wanted, key = config.augmentation_device, "data.augmentation_device"
    if wanted == "cuda" and device.type != "cuda":
        raise ConfigError(f"expected a run on a GPU, and the device is {device.type}", key, "Set it to cpu or auto.")
    if dataset.augmentation is not None and wanted != "cpu":
        dataset.augmentation = dataset.augmentation.on(device)
    return dataset.augmentation


def build_sampler(
    classes: NDArray[np.int64],
    config: DataConfig,
    *,
    seed: int,
    shards: NDArray[np.int64] | None = None,
    weights: NDArray[np.float64] | None = None,
) -> ShuffleSampler | SpeakerBalancedSampler:
    """Return the order of crops with the classes (crops,).

    Args:
        classes: Of the crops, (crops,).
        config: Sampler and length of an epoch.
        seed: Seed of the order.
        shards: Of the crops, (crops,), to shuffle in windows of; None: not in windows.
        weights: Of the crops, (crops,); None: all 1.
    """
    if config.sampler == "shuffle":
        window = None
        if shards is not None and config.shuffle_window is not None:
            window = ShardWindow(shards, config.shuffle_window)
        return ShuffleSampler(len(classes), seed=seed, n_crops=config.crops_per_epoch, window=window, weights=weights)
    return SpeakerBalancedSampler(
        classes,
        utterances_per_speaker=config.utterances_per_speaker,
        seed=seed,
        n_crops=config.crops_per_epoch,
        weights=class_weights(weights, classes),
    )


def build_train_loader(
    data: TrainingData, batches: RankBatches, config: DataConfig, *, n_processes: int = 1
) -> WatchedLoader:
    """Return batches of crops (batch, samples) and classes (batch,), decoded by worker processes.

    ``n_processes`` of the run share the cores of this machine.
    """
    return WatchedLoader(
        data.train,
        batches,
        num_workers=count_workers(config.num_workers, n_processes=n_processes),
        prefetch_factor=config.prefetch_factor,
        timeout_seconds=config.worker_timeout_seconds,
        pin_memory=config.pin_memory and torch.cuda.is_available(),
    )


def check_disjoint(training: Collection[str], others: Collection[str], *, where: str) -> None:
    """Refuse speakers in both training and test; ``where`` names the list or corpus of ``others``.

    Raises:
        DataError: If there are any.
    """
    both = sorted(set(training) & set(others))
    if both:
        names = ", ".join(both[:SHOWN]) + (", …" if len(both) > SHOWN else "")
        what = f"expected other speakers than in training, got {len(both)} of the same: {names}"
        raise DataError(what, where, "Remove these speakers from one of the two.")

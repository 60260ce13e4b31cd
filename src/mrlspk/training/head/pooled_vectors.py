"""Store the pooled vectors that a run needs: training crops, whole utterances, validation utterances, a teacher's."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from mrlspk.config import Config
from mrlspk.data.build import TrainingData
from mrlspk.data.crops.loader import count_workers
from mrlspk.data.held_out import with_two_utterances
from mrlspk.data.manifest import Manifest, Utterance
from mrlspk.distributed import ALONE, Ranks
from mrlspk.feature_store.extraction import ensure_crops, ensure_utterances
from mrlspk.feature_store.store import FeatureStore
from mrlspk.inference.model_file import locate_model
from mrlspk.models.headed_model import HeadedModel
from mrlspk.rotation.folds import (
    CHOICE_SECONDS,
    CHOICE_SPEAKERS,
    CHOICE_UTTERANCES,
    FEWEST_SPEAKERS,
    draw_utterances,
    sample_utterances,
)
from mrlspk.training.head.batches import StoredRows, Teacher
from mrlspk.training.plan import RunPlan
from mrlspk.training.start_model import load_start
from mrlspk.training.validation import ValidationTrials

type OnStage = Callable[[str, float, int], None]


@dataclass(frozen=True, eq=False)
class ShortPieces:
    """Pooled vectors (utterances, in_features) of the middle `CHOICE_SECONDS` of utterances, in float32."""

    corpus: Manifest
    pooled: Tensor


@dataclass(frozen=True, eq=False)
class SpeakerVectors:
    """Pooled vectors of whole utterances.

    Attributes:
        corpus: The utterances.
        pooled: (utterances, in_features) in float32.
        speaker_index: (utterances,) speaker of each.
        short: Short pieces of some of them, to select a rotation on; None without a choice, or with too few speakers.
    """

    corpus: Manifest
    pooled: Tensor
    speaker_index: NDArray[np.int64]
    short: ShortPieces | None = None


class Stores(Protocol):
    """Gives a run its pooled vectors."""

    def crops(self, data: TrainingData) -> StoredRows:
        """Return the training crops, in the order of their indices."""

    def whole(self, corpus: Manifest, *, with_choice: bool) -> SpeakerVectors:
        """Return utterances to fit a rotation to and, ``with_choice``, short pieces to select it on."""

    def held_out(self, trials: ValidationTrials) -> Tensor:
        """Return the pooled vectors (utterances, in_features) of the validation trials' utterances, in their order."""


def draw_choice(corpus: Manifest, config: Config) -> tuple[Manifest, Manifest | None, NDArray[np.int64]]:
    """Return as many utterances as configured, those to select a rotation on, and the speaker index of the first.

    The draw has at least one utterance of each speaker. None can be selected on with too few speakers of two.
    """
    found = Manifest(corpus.root, sample_utterances(corpus, config.features.n_whole, seed=config.seed))
    some = draw_utterances(found, per_speaker=CHOICE_UTTERANCES, max_speakers=CHOICE_SPEAKERS, seed=config.seed)
    enough = len(with_two_utterances(some)) >= FEWEST_SPEAKERS
    return found, some if enough else None, found.speaker_index


@dataclass(frozen=True, eq=False)
class AudioStores:
    """Makes or finds the feature stores of one encoder.

    Attributes:
        config: Its sections ``features``, ``data``, ``evaluation`` and ``hardware`` apply.
        encoder: On its device; everything before the head is used.
        on_stage: Called in the first process with (what is stored, rows done, all rows).
        ranks: The processes that make the stores together; all must call every method.
        opened: The stores that were made or found so far.
    """

    config: Config
    encoder: HeadedModel
    on_stage: OnStage | None = None
    ranks: Ranks = ALONE
    opened: list[FeatureStore] = field(default_factory=list)

    def crops(self, data: TrainingData) -> FeatureStore:
        """Return the training crops: as many passes over the corpus as configured."""
        features, on_stage = self.config.features, self.on_stage
        store = ensure_crops(
            self.encoder,
            data.train,
            folder=features.folder,
            crops_per_item=features.crops_per_utterance,
            dtype=features.dtype,
            batch_size=features.batch_size,
            num_workers=count_workers(
                self.config.data.num_workers, n_processes=self.ranks.per_machine(self.config.hardware.nodes)
            ),
            precision=self.config.hardware.precision,
            worker_timeout_seconds=self.config.data.worker_timeout_seconds,
            on_progress=(lambda done, rows: on_stage("crops", done, rows)) if on_stage else None,
            ranks=self.ranks,
        )
        self.opened.append(store)
        return store

    def whole(self, corpus: Manifest, *, with_choice: bool) -> SpeakerVectors:
        """Return whole utterances, as many as configured, drawn by the seed; at least one of each speaker.

        Args:
            corpus: Of all training speakers.
            with_choice: Whether a rotation is to be selected: short pieces are then included if enough speakers have
                two utterances.
        """
        found, some, speakers = draw_choice(corpus, self.config)
        pooled, short = self._whole("utterances", found.utterances, None), None
        if with_choice and some is not None:
            short = ShortPieces(some, self._whole("short pieces", some.utterances, CHOICE_SECONDS))
        return SpeakerVectors(found, pooled, speakers, short)

    def held_out(self, trials: ValidationTrials) -> Tensor:
        """Return the pooled vectors (utterances, in_features) of the validation trials' utterances, in their order."""
        return self._whole("validation utterances", trials.utterances, self.config.data.validation_seconds)

    def _whole(self, stage: str, utterances: Sequence[Utterance], crop_seconds: float | None) -> Tensor:
        features, on_stage = self.config.features, self.on_stage
        store = ensure_utterances(
            self.encoder,
            utterances,
            folder=features.folder,
            dtype=features.dtype,
            batch_size=self.config.evaluation.batch_size,
            max_seconds=self.config.evaluation.max_seconds,
            precision=self.config.hardware.precision,
            crop_seconds=crop_seconds,
            on_progress=(lambda done, rows: on_stage(stage, done, rows)) if on_stage else None,
            ranks=self.ranks,
        )
        self.opened.append(store)
        return store.rows(np.arange(store.n_rows))


def load_teacher(plan: RunPlan) -> HeadedModel | None:
    """Return the configured teacher; None without one.

    Raises:
        CheckpointError: If the teacher is not a whole model.
        DownloadError: If it is a published model that cannot be fetched.
    """
    config = plan.config
    if config.loss.distillation_teacher is None or not config.distillation_weight:
        return None
    file = locate_model(str(config.loss.distillation_teacher), cache_dir=plan.cache_dir, mirror=plan.mirror)
    return load_start(file).encoder


def store_teacher(
    plan: RunPlan,
    encoder: HeadedModel,
    crops_of: Callable[[Stores], StoredRows],
    *,
    on_stage: OnStage | None,
    ranks: Ranks,
) -> Teacher:
    """Store the vectors of a teacher for the crops that ``crops_of`` gives, and return it."""
    stores = AudioStores(plan.config, encoder.to(ranks.device), on_stage, ranks)
    return Teacher(crops_of(stores), encoder.cpu().folded_head())

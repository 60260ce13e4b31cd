"""The stored vectors that a run from a frozen backbone needs: crops to train on, whole utterances, held-out ones."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from mrlspk.config import Config
from mrlspk.data.build import TrainingData
from mrlspk.data.manifest import Manifest, Utterance
from mrlspk.distributed import ALONE, Ranks
from mrlspk.feature_store.extraction import ensure_crops, ensure_whole
from mrlspk.feature_store.store import FeatureStore
from mrlspk.models.encoder import Encoder
from mrlspk.rotation.folds import (
    CHOICE_SECONDS,
    CHOICE_SPEAKERS,
    CHOICE_UTTERANCES,
    FEWEST_SPEAKERS,
    draw_utterances,
    sample_utterances,
)
from mrlspk.training.validation import ValidationTrials

type OnStage = Callable[[str, int, int], None]


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
        speaker_index: (utterances,) who speaks.
        short: Pieces of some of them, to choose a rotation on; None where there is no choice, or too few speakers.
    """

    corpus: Manifest
    pooled: Tensor
    speaker_index: NDArray[np.int64]
    short: ShortPieces | None = None


@dataclass(frozen=True, eq=False)
class Stores:
    """Makes the stores of one encoder as they are asked for, or finds them made.

    Attributes:
        config: Whose sections ``features``, ``data``, ``evaluation`` and ``hardware`` hold.
        encoder: On its device; all before the head is used.
        on_stage: Called in the first process with (what is made, rows there are, all rows).
        ranks: The processes that make the stores together; every method must be called by all.
    """

    config: Config
    encoder: Encoder
    on_stage: OnStage | None = None
    ranks: Ranks = ALONE

    def crops(self, data: TrainingData) -> FeatureStore:
        """Return the crops that are trained on: as many passes over the corpus as configured."""
        features, on_stage = self.config.features, self.on_stage
        return ensure_crops(
            self.encoder,
            data.train,
            folder=features.folder,
            crops_per_item=features.crops_per_utterance,
            dtype=features.dtype,
            batch_size=features.batch_size,
            num_workers=self.config.data.num_workers,
            precision=self.config.hardware.precision,
            worker_timeout_seconds=self.config.data.worker_timeout_seconds,
            on_progress=(lambda done, rows: on_stage("crops", done, rows)) if on_stage else None,
            ranks=self.ranks,
        )

    def whole(self, corpus: Manifest, *, with_choice: bool) -> SpeakerVectors:
        """Return whole utterances, as many as configured, drawn by the seed; one of each speaker at least.

        Args:
            corpus: Of the training speakers, all of them.
            with_choice: Whether a rotation is to be chosen: where enough speakers have two utterances, short pieces
                of them come too.
        """
        chosen = sample_utterances(corpus, self.config.features.n_whole, seed=self.config.seed)
        index = {speaker: number for number, speaker in enumerate(corpus.speakers)}
        speakers = np.array([index[utterance.speaker_id] for utterance in chosen], np.int64)
        found, short = Manifest(corpus.root, chosen), None
        pooled = self._whole("utterances", chosen, None)
        limits = {"per_speaker": CHOICE_UTTERANCES, "max_speakers": CHOICE_SPEAKERS}
        some = draw_utterances(found, **limits, seed=self.config.seed)
        if with_choice and sum(len(each) > 1 for each in some.by_speaker().values()) >= FEWEST_SPEAKERS:
            short = ShortPieces(some, self._whole("short pieces", some.utterances, CHOICE_SECONDS))
        return SpeakerVectors(found, pooled, speakers, short)

    def held_out(self, trials: ValidationTrials) -> Tensor:
        """Return the utterances of the validation trials, in their order, (utterances, in_features)."""
        return self._whole("validation utterances", trials.utterances, self.config.data.validation_seconds)

    def _whole(self, stage: str, utterances: tuple[Utterance, ...], crop_seconds: float | None) -> Tensor:
        features, on_stage = self.config.features, self.on_stage
        store = ensure_whole(
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
        return store.rows(np.arange(store.n_rows))

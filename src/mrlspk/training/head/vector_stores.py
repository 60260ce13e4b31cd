"""Stand in for feature stores with vectors that are in memory."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mrlspk.config import Config
from mrlspk.data.build import TrainingData
from mrlspk.data.manifest import Manifest
from mrlspk.feature_store.shards import NumberType
from mrlspk.training.head.pooled_vectors import ShortPieces, SpeakerVectors, draw_choice
from mrlspk.training.validation import ValidationTrials
from mrlspk.training.vector_corpus import VectorData
from mrlspk.vectors.unit_vectors import UnitVectors


@dataclass(frozen=True, eq=False)
class VectorRows:
    """Vectors of the utterances of a corpus, in its order; each further pass has the same again.

    Attributes:
        vectors: Of all files.
        places: (n,) row of each utterance among them.
    """

    vectors: UnitVectors
    places: NDArray[np.int64]

    @property
    def n_rows(self) -> int:
        """Number of different vectors."""
        return len(self.places)

    @property
    def n_features(self) -> int:
        """Values per vector."""
        return self.vectors.dim

    @property
    def dtype(self) -> NumberType:
        """Number type of the stored values."""
        return "float32"

    @property
    def nbytes(self) -> int:
        """Size of the vectors."""
        return 4 * self.n_rows * self.n_features

    def rows(self, indices: NDArray[np.int64]) -> Tensor:
        """Return the vectors (n, n_features) of rows (n,) of any pass."""
        return torch.from_numpy(self.vectors.rows(self.places[indices % self.n_rows]))


@dataclass(frozen=True, eq=False)
class VectorStores:
    """The vectors that a run on stored vectors needs: nothing is computed or written.

    Attributes:
        config: Its section ``features`` and ``seed`` apply.
        data: The vectors.
    """

    config: Config
    data: VectorData

    def crops(self, data: TrainingData) -> VectorRows:
        """Return the training vectors; every crop of an utterance is its vector."""
        return VectorRows(self.data.vectors, self.data.vectors.find(data.train.utterance_ids))

    def whole(self, corpus: Manifest, *, with_choice: bool) -> SpeakerVectors:
        """Return the vectors of a draw of utterances, see `AudioStores.whole`.

        There are no short pieces: a rotation is selected on the vectors themselves, of speakers held out of its fit.
        """
        found, some, speakers = draw_choice(corpus, self.config)
        short = ShortPieces(some, self._rows(some)) if with_choice and some is not None else None
        return SpeakerVectors(found, self._rows(found), speakers, short)

    def held_out(self, trials: ValidationTrials) -> Tensor:
        """Return the vectors (utterances, n_features) of the validation trials' utterances, in their order."""
        return torch.from_numpy(self.data.vectors.rows(self.data.rows_of(trials.utterances)))

    def _rows(self, corpus: Manifest) -> Tensor:
        return torch.from_numpy(self.data.vectors.rows(self.data.rows_of(corpus.utterances)))

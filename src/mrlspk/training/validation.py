"""How good the encoder is on speakers that it is not trained on."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from mrlspk.data.manifest import Manifest, speaker_of
from mrlspk.data.trials import Trials
from mrlspk.encoding.embedding import Recording, embed_files
from mrlspk.errors import DataError
from mrlspk.metrics.cosine import prefix_cosine_scores
from mrlspk.metrics.dcf import min_dcf_at
from mrlspk.metrics.det import operating_points
from mrlspk.metrics.eer import eer_at, mean_log_eer
from mrlspk.models.encoder import Encoder


@dataclass(frozen=True)
class ValidationResult:
    """Figures on held-out speakers; ``eer`` and ``min_dcf`` (at the first prior) by width."""

    loss: float
    eer: dict[int, float]
    min_dcf: dict[int, float]
    mean_log_eer: float


class Validator:
    """Scores an encoder on fixed trials among held-out speakers.

    Args:
        manifest: Their utterances.
        trials: Whose ids are in ``manifest``.
        dims: Widths, rising.
        weights: Of the widths, in the loss.
        scale: Factor on the cosine, in the loss.
        p_target: Prior of the detection cost.
        batch_size: Files of equal length embedded together.
        max_seconds: Longer files are embedded in averaged windows.
    """

    def __init__(
        self,
        manifest: Manifest,
        trials: Trials,
        *,
        dims: tuple[int, ...],
        weights: tuple[float, ...],
        scale: float,
        p_target: float,
        batch_size: int,
        max_seconds: float,
    ) -> None:
        wanted = set(trials.utterance_ids)
        self._recordings = {u.utterance_id: Recording(u.path) for u in manifest.utterances if u.utterance_id in wanted}
        self._trials, self._dims, self._weights = trials, dims, weights
        self._scale, self._p_target = scale, p_target
        self._batch_size, self._max_seconds = batch_size, max_seconds

    def validate(self, encoder: Encoder) -> ValidationResult:
        """Embed every utterance once, in evaluation mode, and score all widths.

        Raises:
            DataError: If an utterance cannot be embedded.
        """
        encoder.eval()
        found = embed_files(encoder, self._recordings, batch_size=self._batch_size, max_seconds=self._max_seconds)
        if found.errors:
            raise DataError("validation audio cannot be embedded:\n" + "\n".join(found.errors.values()))
        row = {utterance_id: index for index, utterance_id in enumerate(found.embeddings)}
        vectors = np.stack(list(found.embeddings.values()))
        enroll, test = (
            np.array([row[utterance_id] for utterance_id in side])
            for side in (self._trials.enroll_ids, self._trials.test_ids)
        )
        columns = prefix_cosine_scores(vectors, enroll, test, self._dims).T
        by_dim = zip(self._dims, columns, strict=True)
        points = {dim: operating_points(column, self._trials.is_target) for dim, column in by_dim}
        eer = {dim: eer_at(at) for dim, at in points.items()}
        counts = {"n_target": self._trials.n_target, "n_nontarget": self._trials.n_nontarget}
        speakers = [speaker_of(utterance_id) for utterance_id in row]
        return ValidationResult(
            loss=self._loss(torch.from_numpy(vectors), speakers),
            eer=eer,
            min_dcf={dim: min_dcf_at(at, p_target=self._p_target) for dim, at in points.items()},
            mean_log_eer=mean_log_eer(list(eer.values()), **counts),
        )

    def _loss(self, vectors: Tensor, speakers: list[str]) -> float:
        index = {speaker: number for number, speaker in enumerate(dict.fromkeys(speakers))}
        labels = torch.tensor([index[speaker] for speaker in speakers])
        losses = [prototype_loss(vectors[:, :dim], labels, scale=self._scale) for dim in self._dims]
        return float(np.average(losses, weights=self._weights))


def prototype_loss(embeddings: Tensor, speaker_index: Tensor, *, scale: float) -> float:
    """Return the cross-entropy of naming each utterance's speaker by the cosine to speakers' means, in nats.

    It stands for the classification loss on speakers who have no class weights. The utterance itself is left out of its
    own speaker's mean (Snell et al. 2017, arXiv:1703.05175, with a leave-one-out support); a speaker with one utterance
    is no query.

    Args:
        embeddings: (utterances, dim).
        speaker_index: (utterances,) from 0, without gaps.
        scale: Factor on the cosine.
    """
    unit = functional.normalize(embeddings, dim=1)
    sums = torch.zeros(int(speaker_index.max()) + 1, unit.shape[1]).index_add_(0, speaker_index, unit)
    cosine = unit @ functional.normalize(sums, dim=1).T
    own = functional.normalize(sums[speaker_index] - unit, dim=1)
    rows = torch.arange(len(unit))
    cosine[rows, speaker_index] = (unit * own).sum(1)
    query = torch.bincount(speaker_index)[speaker_index] > 1
    return float(functional.cross_entropy(scale * cosine[query], speaker_index[query]))

"""Validate an encoder on trials among held-out speakers."""

import copy
from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from mrlspk.config import Config
from mrlspk.data.build import TrainingData
from mrlspk.data.held_out import group_by_domain
from mrlspk.data.manifest import Utterance
from mrlspk.data.trials import Trials, trial_speakers
from mrlspk.distributed import ALONE, Ranks, on_rank_zero
from mrlspk.errors import DataError
from mrlspk.evaluation.score_ranges import measure_score_ranges
from mrlspk.evaluation.scored_trials import ScoredTrials
from mrlspk.inference.embedding import embed_recordings
from mrlspk.inference.recording import Recording
from mrlspk.inference.torch_backend import TorchBackend
from mrlspk.metrics.cosine import prefix_cosine_scores
from mrlspk.metrics.eer import mean_log_eer
from mrlspk.metrics.width_metrics import WidthMetrics, measure_widths
from mrlspk.models.encoder import Encoder
from mrlspk.models.headed_model import HeadedModel
from mrlspk.rotation.selection import EmbeddedTrials
from mrlspk.training.records import ValidationResult

HEAD_BATCH = 8192  # pooled vectors per pass through the head


class ValidationTrials:
    """Fixed trials among held-out speakers, and the metrics of embeddings on them.

    Args:
        utterances: Of the held-out speakers; utterances without a trial are dropped.
        trials: Trials between these utterances.
        dims: Widths to score, rising.
        published_dims: The widths among them that the mean log EER is over.
        weights: Loss weight of each of ``dims``.
        scale: Factor on the cosine in the loss.
        p_target: Prior of the detection cost.
        domains: Domain of each speaker; empty if all are of one. No trial has sides of two.
    """

    def __init__(
        self,
        utterances: Sequence[Utterance],
        trials: Trials,
        *,
        dims: tuple[int, ...],
        published_dims: tuple[int, ...],
        weights: tuple[float, ...],
        scale: float,
        p_target: float,
        domains: Mapping[str, str] | None = None,
    ) -> None:
        wanted = set(trials.utterance_ids)
        self.utterances = tuple(each for each in utterances if each.utterance_id in wanted)
        self.dims, self.published_dims = dims, published_dims
        self._weights, self._scale, self._p_target = weights, scale, p_target
        self._domain_of = domains or {}
        self._set_trials(trials)

    def _set_trials(self, trials: Trials) -> None:
        self.trials = trials
        row = {utterance.utterance_id: index for index, utterance in enumerate(self.utterances)}
        self._enroll, self._test = (
            np.array([row[utterance_id] for utterance_id in side], np.int64)
            for side in (trials.enroll_ids, trials.test_ids)
        )

    @property
    def speakers(self) -> tuple[str, ...]:
        """The speakers of the trials, sorted."""
        return self.trials.speakers

    @property
    def both_kinds(self) -> bool:
        """Whether there are target and non-target trials, so that error rates are defined."""
        return 0 < self.trials.n_target < len(self.trials)

    def only(self, speakers: Collection[str]) -> "ValidationTrials":
        """Return the trials among some of the speakers; they take the embeddings of the same `utterances`."""
        wanted, of = set(speakers), self.trials.speaker_of
        pairs = zip(self.trials.enroll_ids, self.trials.test_ids, strict=True)
        keep = np.array([of(enroll) in wanted and of(test) in wanted for enroll, test in pairs], np.bool_)
        some = copy.copy(self)
        some._set_trials(self.trials.only(keep))
        return some

    def speakers_by_domain(self) -> dict[str, list[str]]:
        """Return the speakers of each domain, by its name."""
        return group_by_domain(self.speakers, self._domain_of)

    def by_domain(self) -> dict[str, "ValidationTrials"]:
        """Return the trials of each domain that has both kinds of trial, by its name."""
        speakers = self.speakers_by_domain()
        if len(speakers) == 1:
            return dict.fromkeys(speakers, self)
        found = {domain: self.only(members) for domain, members in speakers.items()}
        return {domain: trials for domain, trials in found.items() if trials.both_kinds}

    def embedded(self, embeddings: NDArray[np.floating]) -> EmbeddedTrials:
        """Return the trials with the embeddings (utterances, embed_dim) of `utterances`."""
        return EmbeddedTrials(embeddings, self._enroll, self._test, self.trials.is_target)

    def scored(self, embeddings: NDArray[np.floating]) -> ScoredTrials:
        """Return the trials with the cosines of the embeddings (utterances, embed_dim) of `utterances`."""
        speakers = trial_speakers(self.trials)
        return ScoredTrials(
            self.dims,
            self._scores(embeddings, self.dims),
            self.trials.is_target,
            speakers.enroll_speaker,
            speakers.test_speaker,
            speakers.names,
        )

    def _scores(self, embeddings: NDArray[np.floating], dims: tuple[int, ...]) -> NDArray[np.float64]:
        """Return the cosines (trials, dims) of the embeddings (utterances, embed_dim) of `utterances`."""
        return prefix_cosine_scores(embeddings, self._enroll, self._test, dims)

    def eers(self, embeddings: NDArray[np.floating], dims: tuple[int, ...]) -> dict[int, float]:
        """Return the EER by width of the embeddings (utterances, embed_dim) of `utterances`."""
        return {width.dim: width.eer for width in self._measure(embeddings, dims)}

    def mean_log_eer(self, eer: dict[int, float]) -> float:
        """Return the mean natural logarithm of EERs on these trials at the published widths."""
        counts = {"n_target": self.trials.n_target, "n_nontarget": self.trials.n_nontarget}
        return mean_log_eer([eer[dim] for dim in self.published_dims], **counts)

    def result(self, embeddings: NDArray[np.floating]) -> ValidationResult:
        """Return all metrics of the embeddings (utterances, embed_dim) of `utterances`."""
        loss = self._loss(torch.from_numpy(np.asarray(embeddings, np.float32)))
        widths = self._measure(embeddings, self.dims)
        ranges = measure_score_ranges(self._scores(embeddings, self.dims), self.trials.is_target, self.dims)
        domains = self.by_domain()
        eers = {name: trials.eers(embeddings, self.published_dims) for name, trials in domains.items()}
        mean = float(np.mean([domains[name].mean_log_eer(each) for name, each in eers.items()]))
        return ValidationResult(loss, widths, mean, ranges, eers if len(eers) > 1 else {})

    def mean_log_eer_of(self, embeddings: NDArray[np.floating]) -> float:
        """Return the mean natural logarithm of the EERs at the published widths, over all domains."""
        dims, domains = self.published_dims, self.by_domain().values()
        return float(np.mean([each.mean_log_eer(each.eers(embeddings, dims)) for each in domains]))

    def _measure(self, embeddings: NDArray[np.floating], dims: tuple[int, ...]) -> tuple[WidthMetrics, ...]:
        """Return the metrics of the embeddings by width, without minCllr."""
        scores = self._scores(embeddings, dims)
        return measure_widths(scores, self.trials.is_target, dims, p_targets=(self._p_target,), brief=True)

    def _loss(self, vectors: Tensor) -> float:
        own = set(self.speakers)
        rows = [row for row, utterance in enumerate(self.utterances) if utterance.speaker_id in own]
        speakers = [self.utterances[row].speaker_id for row in rows]
        index, vectors = {speaker: number for number, speaker in enumerate(dict.fromkeys(speakers))}, vectors[rows]
        labels = torch.tensor([index[speaker] for speaker in speakers])
        losses = [prototype_loss(vectors[:, :dim], labels, scale=self._scale) for dim in self.dims]
        return float(np.average(losses, weights=self._weights))


class Validator(Protocol):
    """Validates an encoder on held-out speakers."""

    def validate(self, encoder: HeadedModel) -> ValidationResult:
        """Return the metrics, the same in all processes; the encoder is left in evaluation mode."""


class AudioValidator:
    """Decodes and embeds the utterances of the trials each time: for encoders whose backbone changes.

    Each process embeds its shard; the metrics are computed once, over all.

    Args:
        trials: The trials to score.
        batch_size: Files of equal length embedded together.
        max_seconds: Longer files are embedded in averaged windows.
        crop_seconds: Length of the middle part to embed, all of a shorter file; None for whole files.
        ranks: The processes that share the work.
    """

    def __init__(
        self,
        trials: ValidationTrials,
        *,
        batch_size: int,
        max_seconds: float,
        crop_seconds: float | None = None,
        ranks: Ranks = ALONE,
    ) -> None:
        self._trials, self._ranks = trials, ranks
        self._recordings = {
            each.utterance_id: Recording(each.source, crop_seconds, short_is_whole=True) for each in trials.utterances
        }
        self._batch_size, self._max_seconds = batch_size, max_seconds

    def validate(self, encoder: HeadedModel) -> ValidationResult:
        """Embed every utterance once, in evaluation mode, and score all widths.

        Raises:
            DataError: If an utterance cannot be embedded.
        """
        assert isinstance(encoder, Encoder)  # a head on another model is validated on stored vectors
        encoder.eval()
        own = {each: self._recordings[each] for each in self._ranks.shard(list(self._recordings))}
        found = embed_recordings(
            TorchBackend(encoder, as_published=True),
            own.values(),
            batch_size=self._batch_size,
            max_seconds=self._max_seconds,
        )
        embedded = {name: found.embeddings[each].vector for name, each in own.items() if each in found.embeddings}
        failed = {name: found.errors[each] for name, each in own.items() if each in found.errors}
        vectors, errors = dict[str, NDArray[np.float32]](), dict[str, str]()
        for of_one, its_errors in self._ranks.all_gather((embedded, failed)):
            vectors |= of_one
            errors |= its_errors
        if errors:
            raise DataError("validation audio cannot be embedded:\n" + "\n".join(errors.values()))
        return on_rank_zero(
            self._ranks, lambda: self._trials.result(np.stack([vectors[each] for each in self._recordings]))
        )


class StoredValidator:
    """Passes stored pooled vectors of the trials' utterances through the head: for a frozen backbone.

    Args:
        trials: The trials to score.
        pooled: (utterances, in_features of the head), of the trials' utterances in order.
        judging: Trials of the same utterances that choose no epoch, but judge at the end; None for the same ones.
        ranks: The processes that get the metrics; the first one computes them.
    """

    def __init__(
        self,
        trials: ValidationTrials,
        pooled: Tensor,
        *,
        judging: ValidationTrials | None = None,
        ranks: Ranks = ALONE,
    ) -> None:
        self.trials, self.pooled, self.judging, self._ranks = trials, pooled, judging or trials, ranks

    def validate(self, encoder: HeadedModel) -> ValidationResult:
        """Embed the pooled vectors and score all widths."""
        encoder.eval()
        return on_rank_zero(self._ranks, lambda: self.trials.result(embed_pooled(encoder, self.pooled).numpy()))


@torch.inference_mode()
def embed_pooled(encoder: HeadedModel, pooled: Tensor) -> Tensor:
    """Map pooled vectors (n, in_features) to embeddings (n, embed_dim) on the CPU, in float32, not of unit length."""
    parts = (pooled[start : start + HEAD_BATCH] for start in range(0, len(pooled), HEAD_BATCH))
    return torch.cat([encoder.project(part.to(encoder.device).float()).cpu() for part in parts])


def build_validation_trials(config: Config, data: TrainingData) -> ValidationTrials:
    """Return the validation trials of a run, to be scored at every width that it trains."""
    return ValidationTrials(
        data.validation.utterances,
        data.validation_trials,
        dims=config.model.dims_in_loss,
        published_dims=config.model.matryoshka_dims,
        weights=config.model.weights,
        scale=config.loss.scale,
        p_target=config.evaluation.p_target[0],
        domains=data.domains,
    )


def prototype_loss(embeddings: Tensor, speaker_index: Tensor, *, scale: float) -> float:
    """Return the cross-entropy, in nats, of classifying utterances by the cosine to speakers' means.

    It replaces the classification loss for speakers without classifier weights. The mean of a speaker excludes the
    utterance itself (Snell et al. 2017, arXiv:1703.05175, with a leave-one-out support); a speaker with one utterance
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

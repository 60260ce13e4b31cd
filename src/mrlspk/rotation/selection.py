"""Select a rotation by cross-validation over speakers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrlspk.data.trials import Trials
from mrlspk.errors import DataError
from mrlspk.metrics.cosine import prefix_cosine_scores
from mrlspk.metrics.eer import equal_error_rate, mean_log_eer
from mrlspk.rotation.closed_form import METHODS, Method, Rotation, fit_rotation

WIDTHS = 16, 32, 64  # where rotations differ; near the full width they are alike
CHANCE = 0.5  # EER of scores that say nothing
TIE = 0.02  # mean log EERs this close are a tie, because chance moves them more; the earlier candidate wins


@dataclass(frozen=True, eq=False)
class SpeakerEmbeddings:
    """Embeddings (n, embed_dim), of any length, with speaker labels (n,)."""

    embeddings: NDArray[np.floating]
    speaker_index: NDArray[np.integer]

    def only(self, keep: NDArray[np.bool_]) -> "SpeakerEmbeddings":
        """Return the rows where ``keep`` (n,) is true."""
        return SpeakerEmbeddings(self.embeddings[keep], self.speaker_index[keep])


@dataclass(frozen=True, eq=False)
class EmbeddedTrials:
    """Embeddings (n, embed_dim), and trials among them: (trials,) row numbers of both sides, and target labels."""

    embeddings: NDArray[np.floating]
    enroll: NDArray[np.integer]
    test: NDArray[np.integer]
    is_target: NDArray[np.bool_]

    @classmethod
    def of(cls, trials: Trials, utterance_ids: Sequence[str], embeddings: NDArray[np.floating]) -> "EmbeddedTrials":
        """Build trials between ``utterance_ids``, which name the rows of ``embeddings``."""
        row = {utterance_id: index for index, utterance_id in enumerate(utterance_ids)}
        enroll, test = (np.array([row[each] for each in side]) for side in (trials.enroll_ids, trials.test_ids))
        return cls(embeddings, enroll, test, trials.is_target)


@dataclass(frozen=True, eq=False)
class Fold:
    """Speakers to fit on, and trials among held-out speakers; ``trials`` names the utterances of a corpus."""

    fit: SpeakerEmbeddings
    held_out: EmbeddedTrials
    trials: Trials | None = None


@dataclass(frozen=True)
class RotationCandidates:
    """The candidates in order: each method with each of its parameters.

    Attributes:
        methods: See `fit_rotation`; ``none`` keeps the order of a model that is a Matryoshka model already.
        within_shares: Parameters of ``between_within``.
        lda_shrinkages: Parameters of ``lda_qr``.
    """

    methods: tuple[Method, ...] = (*METHODS[1:], METHODS[0])
    within_shares: tuple[float, ...] = (0.25, 0.5)
    lda_shrinkages: tuple[float, ...] = (1.0, 4.0)

    def listed(self) -> list[tuple[Method, float | None]]:
        """Return each method with each of its parameters."""
        values: dict[Method, Sequence[float | None]] = {
            "between_within": self.within_shares,
            "lda_qr": self.lda_shrinkages,
        }
        return [(method, value) for method in self.methods for value in values.get(method, (None,))]


@dataclass(frozen=True)
class CandidateResult:
    """The metrics of a candidate: ``eer`` by width and ``mean_log_eer``, both means over the folds."""

    method: Method
    parameter: float | None
    eer: dict[int, float]
    mean_log_eer: float


@dataclass(frozen=True, eq=False)
class RotationChoice:
    """The selected rotation and the results of all candidates.

    Attributes:
        rotation: The selected rotation, fitted to all speakers.
        results: Results of all candidates, in order; empty if there was only one.
        n_target: Target trials of all folds.
        n_nontarget: Non-target trials of all folds.
    """

    rotation: Rotation
    results: tuple[CandidateResult, ...] = ()
    n_target: int = 0
    n_nontarget: int = 0

    def entry(self) -> dict[str, Any]:
        """Return the entry of a checkpoint: the rotation, with the results of all candidates under ``choice``."""
        if not self.results:
            return self.rotation.entry()
        candidates = [
            {
                "method": each.method,
                "parameter": each.parameter,
                "mean_log_eer": each.mean_log_eer,
                "eer": [*each.eer.values()],
            }
            for each in self.results
        ]
        choice = {
            "widths": [*self.results[0].eer],
            "n_target": self.n_target,
            "n_nontarget": self.n_nontarget,
            "candidates": candidates,
        }
        return self.rotation.entry() | {"choice": choice}


def select_rotation(
    fit: SpeakerEmbeddings, held_out: EmbeddedTrials, candidates: RotationCandidates | None = None
) -> RotationChoice:
    """Fit all candidates to ``fit``, and select the one with the lowest mean log EER on held-out trials.

    The mean is over `choice_widths`. Among candidates within `TIE` of the lowest, the first wins. A single candidate is
    fitted and not scored.

    Raises:
        DataError: If a candidate cannot be fitted to these embeddings.
        MetricError: If the trials are not of both kinds.
    """
    return cross_validate_rotation([Fold(fit, held_out)], candidates, refit=fit)


def cross_validate_rotation(
    folds: Sequence[Fold], candidates: RotationCandidates | None = None, *, refit: SpeakerEmbeddings
) -> RotationChoice:
    """Select the best candidate over several folds, as `select_rotation` does, and fit it to ``refit``.

    Raises:
        DataError: If a candidate cannot be fitted to these embeddings.
        MetricError: If the trials of a fold are not of both kinds.
    """
    listed = (candidates or RotationCandidates()).listed()
    if len(listed) == 1:
        return RotationChoice(_fit(refit, *listed[0]))
    results = tuple(_score(folds, method, parameter) for method, parameter in listed)
    least = min(result.mean_log_eer for result in results)
    best = next(result for result in results if result.mean_log_eer <= least + TIE)
    is_target = np.concatenate([fold.held_out.is_target for fold in folds])
    n_target = int(is_target.sum())
    return RotationChoice(_fit(refit, best.method, best.parameter), results, n_target, len(is_target) - n_target)


def choice_widths(embed_dim: int) -> tuple[int, ...]:
    """Return the widths to select by: those of `WIDTHS` below the full width, or else half of it."""
    return tuple(width for width in WIDTHS if width < embed_dim) or (max(embed_dim // 2, 1),)


def _score(folds: Sequence[Fold], method: Method, parameter: float | None) -> CandidateResult:
    scored = [_score_fold(fold, _fit(fold.fit, method, parameter)) for fold in folds]
    eer = {width: float(np.mean([eers[width] for eers, _ in scored])) for width in scored[0][0]}
    return CandidateResult(method, parameter, eer, float(np.mean([mean for _, mean in scored])))


def _score_fold(fold: Fold, rotation: Rotation) -> tuple[dict[int, float], float]:
    rotated = np.asarray(fold.held_out.embeddings, dtype=np.float64) @ rotation.matrix.T
    return score_trials(fold.held_out, rotated, choice_widths(len(rotation.matrix)))


def score_trials(
    trials: EmbeddedTrials, embeddings: NDArray[np.floating], widths: Sequence[int]
) -> tuple[dict[int, float], float]:
    """Return the EER by width, and the mean log EER, of trials between other embeddings (n, embed_dim) in their place.

    Raises:
        MetricError: If the trials are not of both kinds.
    """
    if not embeddings[:, : widths[0]].any(axis=1).all():  # an embedding that begins with zeros has no direction there
        return dict.fromkeys(widths, CHANCE), float(np.log(CHANCE))
    columns = prefix_cosine_scores(embeddings, trials.enroll, trials.test, widths).T
    eer = {width: equal_error_rate(column, trials.is_target) for width, column in zip(widths, columns, strict=True)}
    n_target = int(trials.is_target.sum())
    counts = {"n_target": n_target, "n_nontarget": len(trials.is_target) - n_target}
    return eer, mean_log_eer([*eer.values()], **counts)


def refit_rotation(rotation: Rotation, vectors: SpeakerEmbeddings) -> Rotation:
    """Return the rotation by the same method and parameter, fitted to other embeddings.

    Raises:
        DataError: If it cannot be fitted to them.
    """
    return _fit(vectors, rotation.method, rotation.parameter)


def _fit(vectors: SpeakerEmbeddings, method: Method, parameter: float | None) -> Rotation:
    try:
        return fit_rotation(vectors.embeddings, vectors.speaker_index, method=method, parameter=parameter)
    except ValueError as error:
        raise DataError(
            f"the rotation {method} cannot be fitted: {error}",
            fix="Give more speech, or take svd, which needs the least.",
        ) from error

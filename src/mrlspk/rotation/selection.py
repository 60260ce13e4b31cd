"""Which rotation tells apart best those speakers who had no part in it."""

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

WIDTHS = 16, 32, 64  # where rotations differ; near the full width all are alike
TIE = 0.02  # mean log EERs this near are equal, for chance moves them more: the earlier candidate is taken


@dataclass(frozen=True, eq=False)
class SpeakerEmbeddings:
    """Embeddings (n, embed_dim), of any length, and (n,) who speaks."""

    embeddings: NDArray[np.floating]
    speaker_index: NDArray[np.integer]

    def only(self, keep: NDArray[np.bool_]) -> "SpeakerEmbeddings":
        """Return the part where ``keep`` (n,) is true."""
        return SpeakerEmbeddings(self.embeddings[keep], self.speaker_index[keep])


@dataclass(frozen=True, eq=False)
class EmbeddedTrials:
    """Embeddings (n, embed_dim) and the trials among them: (trials,) rows of both sides, and which are target."""

    embeddings: NDArray[np.floating]
    enroll: NDArray[np.integer]
    test: NDArray[np.integer]
    is_target: NDArray[np.bool_]

    @classmethod
    def of(cls, trials: Trials, utterance_ids: Sequence[str], embeddings: NDArray[np.floating]) -> "EmbeddedTrials":
        """Return trials whose utterances are ``utterance_ids``, in the order of ``embeddings``."""
        row = {utterance_id: index for index, utterance_id in enumerate(utterance_ids)}
        enroll, test = (np.array([row[each] for each in side]) for side in (trials.enroll_ids, trials.test_ids))
        return cls(embeddings, enroll, test, trials.is_target)


@dataclass(frozen=True, eq=False)
class Fold:
    """Speakers to fit on, and trials among others to choose by."""

    fit: SpeakerEmbeddings
    held_out: EmbeddedTrials


@dataclass(frozen=True)
class RotationCandidates:
    """What is tried, in order: each method, with each of its values.

    Attributes:
        methods: See `fit_rotation`; ``none`` keeps the order of a model that is a Matryoshka model already.
        within_shares: Values of ``between_within``.
        lda_shrinkages: Values of ``lda_qr``.
    """

    methods: tuple[Method, ...] = (*METHODS[1:], METHODS[0])
    within_shares: tuple[float, ...] = (0.25, 0.5)
    lda_shrinkages: tuple[float, ...] = (1.0, 4.0)

    def listed(self) -> list[tuple[Method, float | None]]:
        """Return every method with every value."""
        values: dict[Method, Sequence[float | None]] = {
            "between_within": self.within_shares,
            "lda_qr": self.lda_shrinkages,
        }
        return [(method, value) for method in self.methods for value in values.get(method, (None,))]


@dataclass(frozen=True)
class CandidateResult:
    """What a candidate is worth: ``eer`` by width and ``mean_log_eer``, both means over the folds."""

    method: Method
    parameter: float | None
    eer: dict[int, float]
    mean_log_eer: float


@dataclass(frozen=True, eq=False)
class RotationChoice:
    """The rotation chosen, and what it was chosen from.

    Attributes:
        rotation: As fitted at the end.
        results: Of every candidate in order; empty where there was but one.
        n_target: Target trials of all folds.
        n_nontarget: Non-target trials of all folds.
    """

    rotation: Rotation
    results: tuple[CandidateResult, ...] = ()
    n_target: int = 0
    n_nontarget: int = 0

    def entry(self) -> dict[str, Any]:
        """Return what a checkpoint holds: the entry of the rotation, and under ``choice`` what it was chosen from."""
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


def choose_rotation(
    fit: SpeakerEmbeddings, held_out: EmbeddedTrials, candidates: RotationCandidates | None = None
) -> RotationChoice:
    """Return the candidate, fitted to ``fit``, whose mean log EER on trials among other speakers is least.

    It is over `choice_widths`. Of candidates within `TIE` of the least the earliest is taken. One candidate alone is
    fitted and not scored.

    Raises:
        DataError: If a candidate cannot be fitted to these embeddings.
        MetricError: If the trials are not of both kinds.
    """
    return choose_over_folds([Fold(fit, held_out)], candidates, refit=fit)


def choose_over_folds(
    folds: Sequence[Fold], candidates: RotationCandidates | None = None, *, refit: SpeakerEmbeddings
) -> RotationChoice:
    """Return the candidate that is best over several folds (see `choose_rotation`), fitted to ``refit``.

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
    """Return the widths that rotations are chosen by: those of `WIDTHS` below the full one, else half of it."""
    return tuple(width for width in WIDTHS if width < embed_dim) or (max(embed_dim // 2, 1),)


def _score(folds: Sequence[Fold], method: Method, parameter: float | None) -> CandidateResult:
    scored = [_score_fold(fold, _fit(fold.fit, method, parameter)) for fold in folds]
    eer = {width: float(np.mean([eers[width] for eers, _ in scored])) for width in scored[0][0]}
    return CandidateResult(method, parameter, eer, float(np.mean([mean for _, mean in scored])))


def _score_fold(fold: Fold, rotation: Rotation) -> tuple[dict[int, float], float]:
    trials = fold.held_out
    widths = choice_widths(len(rotation.matrix))
    turned = np.asarray(trials.embeddings, dtype=np.float64) @ rotation.matrix.T
    columns = prefix_cosine_scores(turned, trials.enroll, trials.test, widths).T
    eer = {width: equal_error_rate(column, trials.is_target) for width, column in zip(widths, columns, strict=True)}
    n_target = int(trials.is_target.sum())
    counts = {"n_target": n_target, "n_nontarget": len(trials.is_target) - n_target}
    return eer, mean_log_eer([*eer.values()], **counts)


def _fit(vectors: SpeakerEmbeddings, method: Method, parameter: float | None) -> Rotation:
    try:
        return fit_rotation(vectors.embeddings, vectors.speaker_index, method=method, parameter=parameter)
    except ValueError as error:
        raise DataError(
            f"no rotation {method} can be fitted: {error}", fix="Name more speech, or take svd, which needs least."
        ) from error

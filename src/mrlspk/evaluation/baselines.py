"""What a Matryoshka model has to beat: the embedding that it came from, whole, cut and turned, on the same trials."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from mrlspk.evaluation.embeddings import Embedder
from mrlspk.evaluation.model_origin import Origin
from mrlspk.evaluation.model_scores import score_lists
from mrlspk.evaluation.scored_trials import ScoredTrials
from mrlspk.evaluation.trial_list import TrialList
from mrlspk.inference.fingerprint import model_fingerprint
from mrlspk.inference.recording import Recording
from mrlspk.metrics.dcf import min_dcf_at
from mrlspk.metrics.det import operating_points
from mrlspk.metrics.eer import eer_at

type Baseline = Literal["own", "truncation", "rotation"]


@dataclass(frozen=True)
class BaselineFigures:
    """One width of a baseline; ``min_dcf`` is at the first prior."""

    dim: int
    eer: float
    min_dcf: float


@dataclass(frozen=True)
class BaselineResults:
    """One baseline on one list: ``own`` at its full width alone, the others at every width scored that it has."""

    name: Baseline
    results: tuple[BaselineFigures, ...]


def score_baselines(
    origin: Origin, embedder: Embedder, lists: Sequence[TrialList], *, dims: tuple[int, ...], p_target: float
) -> tuple[tuple[BaselineResults, ...], ...]:
    """Return the baselines of each list, in order; the recordings are embedded once more, by ``origin``.

    Args:
        origin: What the model came from; it is moved to the model's device.
        embedder: Of the model: its origin embeds in the same way.
        lists: Trials with their audio.
        dims: Widths, rising; those that the origin does not have are left out.
        p_target: Prior of the detection cost.

    Raises:
        DataError: If an utterance cannot be read or embedded.
    """
    encoder = origin.encoder.to(next(embedder.encoder.parameters()).device)
    full, widths = encoder.embed_dim, tuple(dim for dim in dims if dim <= encoder.embed_dim)
    own = replace(embedder, encoder=encoder, fingerprint=model_fingerprint(encoder)).embed(
        Recording(path) for each in lists for path in each.paths.values()
    )
    scored = score_lists(own, lists, tuple(sorted({*widths, full})))
    found = [[_results("own", each.scored, (full,), p_target)] for each in scored]
    for row, each in zip(found, scored, strict=True):
        row.append(_results("truncation", each.scored, widths, p_target))
    if origin.turn is not None and widths:
        for row, each in zip(found, score_lists(own.turned(origin.turn), lists, widths), strict=True):
            row.append(_results("rotation", each.scored, widths, p_target))
    return tuple(tuple(row) for row in found)


def _results(name: Baseline, scored: ScoredTrials, dims: tuple[int, ...], p_target: float) -> BaselineResults:
    return BaselineResults(name, tuple(_figures(scored, dim, p_target) for dim in dims))


def _figures(scored: ScoredTrials, dim: int, p_target: float) -> BaselineFigures:
    points = operating_points(scored.scores[:, scored.dims.index(dim)], scored.is_target)
    return BaselineFigures(dim, eer_at(points), min_dcf_at(points, p_target=p_target))

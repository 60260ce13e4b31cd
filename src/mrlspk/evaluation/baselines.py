"""Score the baselines of a Matryoshka model: its original embedding at full width, truncated, and rotated."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from mrlspk.evaluation.embedder import Embedder
from mrlspk.evaluation.score_lists import score_lists
from mrlspk.evaluation.scored_trials import ScoredTrials
from mrlspk.evaluation.trial_list import TrialList
from mrlspk.inference.recording import Recording
from mrlspk.metrics.width_metrics import WidthMetrics, measure_widths

if TYPE_CHECKING:
    from mrlspk.evaluation.model_origin import Origin

type Baseline = Literal["own", "truncation", "rotation"]


@dataclass(frozen=True)
class BaselineResults:
    """One baseline on one list: ``own`` at its full width only, the others at every scored width up to that.

    Truncation is not scored at widths where an embedding is all zeros: CAM++ has zeros among its values.
    """

    name: Baseline
    results: tuple[WidthMetrics, ...]


def score_baselines(
    origin: "Origin", embedder: Embedder, lists: Sequence[TrialList], *, dims: tuple[int, ...], p_target: float
) -> tuple[tuple[BaselineResults, ...], ...]:
    """Return the baselines of each list, in order; ``origin`` embeds the recordings again.

    Args:
        origin: The original model, on the model's device.
        embedder: Of the model; the original model embeds in the same way.
        lists: Trials with their audio.
        dims: Widths, rising; those that the original model lacks are left out.
        p_target: Prior of the detection cost.

    Raises:
        DataError: If an utterance cannot be read or embedded.
    """
    full, widths = origin.encoder.embed_dim, tuple(dim for dim in dims if dim <= origin.encoder.embed_dim)
    own = replace(embedder, backend=origin.backend).embed(
        Recording(source) for each in lists for source in each.audio.values()
    )
    truncated = tuple(dim for dim in widths if own.have_directions(dim))
    scored = score_lists(own, lists, tuple(sorted({*truncated, full})))
    found = [[_results("own", each.scored, (full,), p_target)] for each in scored]
    for row, each in zip(found, scored, strict=True):
        row.append(_results("truncation", each.scored, truncated, p_target))
    if origin.rotation is not None and widths:
        for row, each in zip(found, score_lists(own.rotated(origin.rotation), lists, widths), strict=True):
            row.append(_results("rotation", each.scored, widths, p_target))
    return tuple(tuple(row) for row in found)


def _results(name: Baseline, scored: ScoredTrials, dims: tuple[int, ...], p_target: float) -> BaselineResults:
    trials = scored.at(dims)
    return BaselineResults(
        name, measure_widths(trials.scores, trials.is_target, dims, p_targets=[p_target], brief=True)
    )

"""The figures of several models on the same trials, side by side."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from mrlspk.errors import UsageError
from mrlspk.evaluation.model_scores import TrialResult


@dataclass(frozen=True)
class ModelEer:
    """The equal error rate, in [0, 1], of one model."""

    model: str
    eer: float


@dataclass(frozen=True)
class Difference:
    """What model ``b`` has more of than model ``a``: below zero, ``b`` makes fewer errors."""

    a: str
    b: str
    delta_eer: float


@dataclass(frozen=True)
class ComparedWidth:
    """All models, and every two of them, at one width."""

    dim: int
    models: tuple[ModelEer, ...]
    pairs: tuple[Difference, ...]


@dataclass(frozen=True)
class ComparedTrials:
    """All models on one trial list; the attributes are those of `TrialResult`."""

    path: str
    sha256: str
    source: str
    n_target: int
    n_nontarget: int
    results: tuple[ComparedWidth, ...]


def common_dims(dims_by_model: Mapping[str, Sequence[int]]) -> tuple[int, ...]:
    """Return the widths, rising, that every model was trained for.

    Raises:
        UsageError: If there is none.
    """
    common = set.intersection(*(set(dims) for dims in dims_by_model.values()))
    if not common:
        widths = "; ".join(f"{model}: {', '.join(map(str, dims))}" for model, dims in dims_by_model.items())
        raise UsageError(
            f"the models share no width ({widths})",
            "--dims",
            "Name widths with --dims and add --allow-untrained-dim to cut every model's embedding to them.",
        )
    return tuple(sorted(common))


def compare_results(results: Mapping[str, Sequence[TrialResult]]) -> tuple[ComparedTrials, ...]:
    """Return list by list what each model reached; all results are of the same lists and widths, in one order."""
    return tuple(
        ComparedTrials(
            path=lists[0].path,
            sha256=lists[0].sha256,
            source=lists[0].source,
            n_target=lists[0].n_target,
            n_nontarget=lists[0].n_nontarget,
            results=_compare_list(dict(zip(results, lists, strict=True))),
        )
        for lists in zip(*results.values(), strict=True)
    )


def _compare_list(by_model: Mapping[str, TrialResult]) -> tuple[ComparedWidth, ...]:
    compared = []
    for widths in zip(*(result.results for result in by_model.values()), strict=True):
        eers = tuple(ModelEer(model, width.eer) for model, width in zip(by_model, widths, strict=True))
        pairs = tuple(Difference(a.model, b.model, b.eer - a.eer) for a, b in combinations(eers, 2))
        compared.append(ComparedWidth(widths[0].dim, eers, pairs))
    return tuple(compared)

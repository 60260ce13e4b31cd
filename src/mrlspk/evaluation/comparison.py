"""Models on the same trials: differences with intervals and tests, and a winner only where they allow one."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations, pairwise

import numpy as np

from mrlspk.errors import DataError, UsageError
from mrlspk.evaluation.comparison_report import ComparedTrials, ComparedWidth, Difference, ModelFigures
from mrlspk.evaluation.intervals import (
    LEVEL,
    Resampling,
    column_intervals,
    describe_intervals,
    draw,
)
from mrlspk.evaluation.list_scores import ListScores
from mrlspk.evaluation.paired import mcnemar, speaker_differences
from mrlspk.evaluation.scored_trials import ScoredTrials
from mrlspk.metrics.bootstrap import BootstrapDraws, interval, p_value
from mrlspk.metrics.dcf import min_dcf_at
from mrlspk.metrics.det import operating_points
from mrlspk.metrics.eer import eer_at
from mrlspk.metrics.holm import holm


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


def compare_scores(
    by_model: Mapping[str, Sequence[ListScores]],
    dims: Sequence[int],
    p_target: float,
    resampling: Resampling,
    *,
    neighbours: bool = False,
) -> tuple[ComparedTrials, ...]:
    """Return list by list how the models differ.

    Args:
        by_model: The same lists of each model, in one order.
        dims: Widths that all of them have.
        p_target: Prior of the detection cost.
        resampling: How speakers are drawn.
        neighbours: Pair each model with the next one only, as the checkpoints of a run; else every two.

    Raises:
        DataError: If the models were scored on different lists.
    """
    _check_same_lists(by_model)
    compared = []
    for lists in zip(*by_model.values(), strict=True):
        scores = dict(zip(by_model, lists, strict=True))
        compared.append(_compare_list(scores, dims, p_target, resampling, neighbours=neighbours))
    return _with_holm(compared)


def _check_same_lists(by_model: Mapping[str, Sequence[ListScores]]) -> None:
    (first, expected), *others = by_model.items()
    for model, lists in others:
        if len(lists) != len(expected):
            raise DataError(
                f"was scored on {len(lists)} lists, {first} on {len(expected)}", model, "Score both on the same lists."
            )
        for mine, theirs in zip(lists, expected, strict=True):
            if not mine.same_trials(theirs):
                raise DataError(
                    f"was scored on {mine.describe()}, {first} on {theirs.describe()}",
                    model,
                    "Figures of different trials cannot be compared; score both on the same lists.",
                )


def _compare_list(
    by_model: Mapping[str, ListScores],
    dims: Sequence[int],
    p_target: float,
    resampling: Resampling,
    *,
    neighbours: bool,
) -> ComparedTrials:
    first = next(iter(by_model.values()))
    models = {model: each.scored.at(dims) for model, each in by_model.items()}
    trials = first.scored
    note = describe_intervals(trials, resampling, speakers_from=first.speakers_from)
    draws = None
    if note.note is None:
        draws = draw(trials, np.concatenate([each.scores for each in models.values()], axis=1), [p_target], resampling)
    widths = [
        _compare_width(column, dim, models, p_target, draws, neighbours=neighbours) for column, dim in enumerate(dims)
    ]
    return ComparedTrials(
        path=first.path,
        sha256=first.sha256,
        official=first.official,
        source=first.source,
        n_target=trials.n_target,
        n_nontarget=trials.n_nontarget,
        n_speakers=trials.n_speakers,
        missing=first.missing,
        intervals=note,
        results=tuple(widths),
    )


def _compare_width(
    column: int,
    dim: int,
    models: Mapping[str, ScoredTrials],
    p_target: float,
    draws: BootstrapDraws | None,
    *,
    neighbours: bool,
) -> ComparedWidth:
    of_width = [_column(draws, index * len(each.dims) + column) for index, each in enumerate(models.values())]
    scored = [each.at((dim,)) for each in models.values()]
    figures = tuple(
        _figures(model, each, p_target, own) for model, each, own in zip(models, scored, of_width, strict=True)
    )
    indices = range(len(figures))
    pairs = tuple(
        _difference((figures[a], figures[b]), (scored[a], scored[b]), (of_width[a], of_width[b]))
        for a, b in (pairwise(indices) if neighbours else combinations(indices, 2))
    )
    return ComparedWidth(dim, figures, pairs, _winner(figures, of_width))


def _column(draws: BootstrapDraws | None, column: int) -> BootstrapDraws | None:
    """Return the draws of one column, (n_resamples, 1)."""
    if draws is None:
        return None
    return BootstrapDraws(draws.eer[:, [column]], draws.min_dcf[:, [column]])


def _figures(model: str, trials: ScoredTrials, p_target: float, draws: BootstrapDraws | None) -> ModelFigures:
    points = operating_points(trials.scores[:, 0], trials.is_target)
    intervals = column_intervals(trials, draws, 0, [p_target]) if draws else None
    return ModelFigures(
        model,
        eer=eer_at(points),
        eer_ci=intervals.eer if intervals else None,
        min_dcf=min_dcf_at(points, p_target=p_target),
        min_dcf_ci=intervals.min_dcf[0] if intervals else None,
    )


def _difference(
    figures: tuple[ModelFigures, ModelFigures],
    trials: tuple[ScoredTrials, ScoredTrials],
    draws: tuple[BootstrapDraws | None, BootstrapDraws | None],
) -> Difference:
    a, b = figures
    delta_eer, delta_min_dcf = b.eer - a.eer, b.min_dcf - a.min_dcf
    delta_ci, p, dcf_ci, dcf_p = None, None, None, None
    if draws[0] is not None and draws[1] is not None:
        eer_draws = draws[1].eer[:, 0] - draws[0].eer[:, 0]
        dcf_draws = draws[1].min_dcf[:, 0, 0] - draws[0].min_dcf[:, 0, 0]
        delta_ci, p = interval(eer_draws, delta_eer, level=LEVEL), p_value(eer_draws, delta_eer)
        dcf_ci, dcf_p = interval(dcf_draws, delta_min_dcf, level=LEVEL), p_value(dcf_draws, delta_min_dcf)
    signs, speakers = (None, ()) if trials[0].has_intervals else speaker_differences(*trials)
    return Difference(
        a=a.model,
        b=b.model,
        delta_eer=delta_eer,
        delta_ci=delta_ci,
        p_value=p,
        p_holm=None,
        delta_min_dcf=delta_min_dcf,
        delta_min_dcf_ci=dcf_ci,
        min_dcf_p_value=dcf_p,
        mcnemar=mcnemar(*trials),
        signs=signs,
        speakers=speakers,
    )


def _winner(figures: Sequence[ModelFigures], draws: Sequence[BootstrapDraws | None]) -> str | None:
    """Return the model that has fewer errors than every other, by intervals that lie below zero; None if none has."""
    (best, best_draws), *others = sorted(zip(figures, draws, strict=True), key=lambda model: model[0].eer)
    for other, other_draws in others:
        if best_draws is None or other_draws is None:
            return None
        difference = best_draws.eer[:, 0] - other_draws.eer[:, 0]
        if interval(difference, best.eer - other.eer, level=LEVEL)[1] >= 0:
            return None
    return best.model


def _with_holm(compared: Sequence[ComparedTrials]) -> tuple[ComparedTrials, ...]:
    """Return the same with p-values corrected for all comparisons of equal error rates together."""
    pairs = [pair for trials in compared for width in trials.results for pair in width.pairs]
    values = [pair.p_value for pair in pairs if pair.p_value is not None]
    corrected = iter(holm(values))

    def correct(pair: Difference) -> Difference:
        return pair if pair.p_value is None else replace(pair, p_holm=next(corrected))

    return tuple(
        replace(
            trials,
            results=tuple(replace(width, pairs=tuple(map(correct, width.pairs))) for width in trials.results),
        )
        for trials in compared
    )

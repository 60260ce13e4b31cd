"""Draw equal error rates, and their differences, against the width or the epoch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from mrlspk.evaluation.report.drawing import MUTED, Look, PlotFigure, looks, new_figure, to_svg, width_looks
from mrlspk.evaluation.report.values import width_names

type Rows = Sequence[Mapping[str, Any]]

DRAWN_PAIRS = 6  # more differences cannot be told apart
WIDTH = "width (values of the embedding)"


@dataclass(frozen=True)
class Series:
    """Rates, as fractions, against widths or epochs, with intervals (low, high) or None.

    ``parts`` are the values of single speakers at each place, shown without intervals.
    """

    x: Sequence[float]
    rates: Sequence[float]
    intervals: Sequence[Sequence[float] | None]
    parts: Sequence[Sequence[float]] = ()


def eval_overview(document: Mapping[str, Any], names: Sequence[str]) -> PlotFigure:
    """Return EER against width for all lists."""
    series = [_by_width(trials["results"]) for trials in document["trials"]]
    note = "A step along the axis doubles the width."
    if _has_intervals(series):
        note = f"Bars are intervals over speakers. {note}"
    return draw_rates(series, looks(len(names)), names, name="eer-width", x_label=WIDTH, note=note)


def compare_figures(
    document: Mapping[str, Any], trials: Mapping[str, Any], names: Mapping[str, str], key: str
) -> list[PlotFigure]:
    """Return EER against width for each model, or against epoch for the checkpoints of a run, and the differences.

    Args:
        document: Of ``compare``.
        trials: One list of it.
        names: Name of each model.
        key: Distinguishes the list in the ids of the page.
    """
    results = trials["results"]
    if document.get("run"):
        return [_against_epoch(document["run"]["checkpoints"], results, f"eer-epoch-{key}")]
    models = [names[model] for model in document["models"]]
    series = [_by_width([{"dim": each["dim"], **each["models"][i]} for each in results]) for i in range(len(models))]
    note = "Bars are intervals of each model alone; see the differences for whether two models differ."
    note = note if _has_intervals(series) else ""
    figures = [draw_rates(series, looks(len(models)), models, name=f"eer-width-{key}", x_label=WIDTH, note=note)]
    if 0 < len(results[0]["pairs"]) <= DRAWN_PAIRS:
        figures.append(_differences(results, names, f"difference-{key}"))
    return figures


def _against_epoch(checkpoints: Rows, results: Rows, name: str) -> PlotFigure:
    epochs = {each["model"]: each["epoch"] for each in checkpoints}
    series = []
    for result in results:
        rows = sorted((epochs[each["model"]], each["eer"], each.get("eer_ci")) for each in result["models"])
        series.append(Series(*zip(*rows, strict=True)))
    note = "Bars are intervals over speakers." if _has_intervals(series) else ""
    return draw_rates(series, width_looks(len(results)), width_names(results), name=name, x_label="epoch", note=note)


def draw_rates(
    series: Sequence[Series], shown: Sequence[Look], legend: Sequence[str], *, name: str, x_label: str, note: str
) -> PlotFigure:
    """Return rates in percent against widths (on a log2 axis) or epochs, with their intervals."""
    figure = new_figure()
    axes = figure.add_subplot()
    for x, each, look in zip(_places(axes, series, widths=x_label == WIDTH), series, shown, strict=True):
        _draw_intervals(axes, x, each, look)
        axes.plot(x, 100 * np.array(each.rates), **look.line, marker=look.marker, markersize=4, zorder=3)
    highest = np.nanmax([bound for each in series for bound in (*each.rates, *_bounds(each)[1])])
    axes.set(xlabel=x_label, ylabel="EER (%)", ylim=(0, 108 * highest or 1))
    axis = x_label.partition(" ")[0]
    label = f"The equal error rate against the {axis}, a line for each entry of the legend; the tables hold the values."
    return PlotFigure(f"EER against {axis}", to_svg(figure, name), label, list(zip(legend, shown, strict=True)), note)


def _differences(results: Rows, names: Mapping[str, str], name: str) -> PlotFigure:
    """Return differences in percentage points against widths, with a line at zero."""
    pairs = results[0]["pairs"]
    series = [_difference_by_width(results, pair) for pair in range(len(pairs))]
    shown = looks(len(pairs))
    figure = new_figure(2.8)
    axes = figure.add_subplot(xlabel=WIDTH, ylabel="EER difference (points)")
    axes.axhline(0, color=MUTED, linewidth=1)
    for x, each, look in zip(_places(axes, series, widths=True), series, shown, strict=True):
        _draw_intervals(axes, x, each, look)
        for place, part in zip(x, each.parts, strict=True):
            axes.scatter([place] * len(part), 100 * np.array(part), s=9, color=look.colour, alpha=0.5, linewidths=0)
        axes.plot(x, 100 * np.array(each.rates), look.marker, color=look.colour, markersize=5, zorder=3)
    legend = [f"{names[pair['b']]} − {names[pair['a']]}" for pair in pairs]
    lower = names[pairs[0]["b"]] if len(pairs) == 1 else "the model before the minus sign"
    note = f"Below zero {lower} has the lower error. "
    if _has_intervals(series):
        note += "An interval that contains zero names no winner."
    elif any(series[0].parts):
        note += "Small dots are speakers, each with the trials that include the speaker."
    label = "Differences of the equal error rate with their intervals against the width; the table holds the values."
    return PlotFigure("Differences, paired", to_svg(figure, name), label, list(zip(legend, shown, strict=True)), note)


def _by_width(rows: Rows) -> Series:
    return Series([row["dim"] for row in rows], [row["eer"] for row in rows], [row.get("eer_ci") for row in rows])


def _difference_by_width(results: Rows, pair: int) -> Series:
    pairs = [each["pairs"][pair] for each in results]
    return Series(
        [each["dim"] for each in results],
        [each["delta_eer"] for each in pairs],
        [each.get("delta_ci") for each in pairs],
        [[speaker["delta"] for speaker in each.get("speakers") or ()] for each in pairs],
    )


def _has_intervals(series: Sequence[Series]) -> bool:
    return any(any(each.intervals) for each in series)


def _bounds(series: Series) -> NDArray[np.float64]:
    """Return the lower and the upper bounds, NaN where there is no interval."""
    return np.array([interval or (np.nan, np.nan) for interval in series.intervals]).T


def _draw_intervals(axes: Axes, x: NDArray[np.float64], series: Series, look: Look) -> None:
    low, high = 100 * _bounds(series)
    axes.vlines(x, low, high, color=look.colour, linewidth=1.1, alpha=0.75)
    axes.plot(x, low, "_", x, high, "_", color=look.colour, markersize=5)


def _places(axes: Axes, series: Sequence[Series], *, widths: bool) -> list[NDArray[np.float64]]:
    """Label the axis; return the places of each series, a little apart so that intervals do not overlap."""
    ticks = np.array(sorted({value for each in series for value in each.x}), dtype=float)
    at = np.log2 if widths else np.asarray
    places = at(ticks)
    gap = np.diff(places).min() if len(places) > 1 else 1.0
    if widths:
        axes.set_xticks(places, [f"{tick:g}" for tick in ticks], rotation=90 if len(ticks) > 9 else 0)
    else:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlim(places[0] - gap / 2, places[-1] + gap / 2)
    step = gap * min(0.12, 0.5 / len(series))
    return [at(np.array(each.x, float)) + step * (i - (len(series) - 1) / 2) for i, each in enumerate(series)]

"""Draw the plots of a report: plain numbers in, SVG out. Names from files appear in the page's legends only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, NullLocator
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from mrlspk.evaluation.report.svg import N_SERIES, N_WIDTHS, colour, drawing, new_figure, to_svg

type Interval = Sequence[float] | None

DASHES = ("", "5 2", "1.5 1.5", "7 2 1.5 2")
MARKERS = "osD^vP"
DET_TICKS = (0.00001, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8)


@dataclass(frozen=True)
class Look:
    """The look of one series in a plot and its legend: a colour of the page and the dashes of the line."""

    colour: str
    dash: str = ""

    @property
    def line(self) -> dict[str, Any]:
        """Return Matplotlib's arguments."""
        dashes = tuple(float(part) for part in self.dash.split())
        return {"color": colour(self.colour), "linestyle": (0, dashes) if dashes else "-"}


@dataclass(frozen=True)
class Series:
    """Rates, as fractions, against widths or epochs, with intervals (low, high) or None.

    ``parts`` are the values of single speakers at each place, shown without intervals.
    """

    x: Sequence[float]
    rates: Sequence[float]
    intervals: Sequence[Interval]
    parts: Sequence[Sequence[float]] = ()

    @property
    def has_intervals(self) -> bool:
        """Return whether there is an interval to draw."""
        return any(self.intervals)

    @property
    def highest(self) -> float:
        """Return the highest rate or upper bound."""
        return max([*self.rates, *(interval[1] for interval in self.intervals if interval is not None)])


def looks(n_series: int) -> list[Look]:
    """Return distinct looks for lists or models."""
    return [Look(f"series-{i % N_SERIES}", DASHES[i % len(DASHES)]) for i in range(n_series)]


def width_looks(n_widths: int) -> list[Look]:
    """Return looks for rising widths along one colour scale."""
    steps = [round(i * (N_WIDTHS - 1) / max(n_widths - 1, 1)) for i in range(n_widths)]
    if n_widths == 1:
        steps = [N_WIDTHS - 1]
    return [Look(f"width-{step}", DASHES[i % len(DASHES)]) for i, step in enumerate(steps)]


def draw_rates(
    series: Sequence[Series], shown: Sequence[Look], *, name: str, label: str, x_label: str, widths: bool
) -> Markup:
    """Return rates in percent against widths (on a log2 axis) or epochs, with their intervals."""
    with drawing():
        figure = new_figure()
        axes = figure.add_subplot()
        ticks = sorted({value for each in series for value in each.x})
        for index, (each, look) in enumerate(zip(series, shown, strict=True)):
            x = _place(each.x, ticks, index, len(series), widths=widths)
            _draw_intervals(axes, x, each, look)
            axes.plot(
                x, 100 * np.array(each.rates), **look.line, marker=MARKERS[index % len(MARKERS)], markersize=4, zorder=3
            )
        _label_places(axes, ticks, widths=widths)
        axes.set(xlabel=x_label, ylabel="EER (%)")
        axes.set_ylim(0, 108 * max(each.highest for each in series) or 1)
        return to_svg(figure, name=name, label=label)


def draw_differences(series: Sequence[Series], shown: Sequence[Look], *, name: str, label: str) -> Markup:
    """Return differences in percentage points against widths, with a line at zero."""
    with drawing():
        figure = new_figure(2.8)
        axes = figure.add_subplot()
        ticks = sorted({value for each in series for value in each.x})
        axes.axhline(0, color=colour("muted"), linewidth=1)
        for index, (each, look) in enumerate(zip(series, shown, strict=True)):
            x = _place(each.x, ticks, index, len(series), widths=True)
            _draw_intervals(axes, x, each, look)
            for place, part in zip(x, each.parts, strict=False):
                places = np.full(len(part), place)
                axes.scatter(places, 100 * np.array(part), s=9, color=colour(look.colour), alpha=0.4, linewidths=0)
            axes.plot(
                x,
                100 * np.array(each.rates),
                color=colour(look.colour),
                linestyle="none",
                marker=MARKERS[index % len(MARKERS)],
                markersize=5,
                zorder=3,
            )
        _label_places(axes, ticks, widths=True)
        axes.set(xlabel="width (values of the embedding)", ylabel="EER difference (points)")
        return to_svg(figure, name=name, label=label)


def draw_det(
    curves: Sequence[Mapping[str, Any]], eers: Sequence[float], shown: Sequence[Look], *, name: str, label: str
) -> Markup:
    """Return DET curves on normal-deviate axes, the equal error rate of each as a dot on the diagonal."""
    with drawing():
        figure = new_figure(3.9)
        axes = figure.add_subplot()
        low, high = _det_range(curves)
        for curve, eer, look in zip(curves, eers, shown, strict=True):
            p_fa, p_miss = (np.clip(curve[key], low / 30, 1 - 1e-9) for key in ("p_fa", "p_miss"))
            axes.plot(ndtri(p_fa), ndtri(p_miss), **look.line)
            if low < eer < high:
                axes.plot(ndtri(eer), ndtri(eer), color=colour(look.colour), marker="o", markersize=4, zorder=3)
        limits = ndtri([low, high])
        axes.plot(limits, limits, color=colour("muted"), linewidth=0.7, linestyle=(0, (1, 2)))
        places = ndtri([tick for tick in DET_TICKS if low <= tick <= high])
        ticks = ndtr(places[_apart(places, float(np.ptp(limits)))])
        names = [f"{100 * tick:g}" for tick in ticks]
        axes.set_xticks(ndtri(ticks), names)
        axes.set_yticks(ndtri(ticks), names)
        axes.set(xlim=limits, ylim=limits, aspect="equal", xlabel="false accepts (%)", ylabel="misses (%)")
        return to_svg(figure, name=name, label=label)


def draw_histograms(
    histograms: Sequence[Mapping[str, Any]], thresholds: Sequence[float], *, name: str, label: str
) -> Markup:
    """Return histograms of target and non-target scores at each width, with the EER threshold as a line."""
    with drawing():
        rows = (len(histograms) + 1) // 2
        figure = new_figure(0.5 + 1.35 * rows)
        grid = figure.subplots(rows, 1 if len(histograms) == 1 else 2, squeeze=False)
        for panel, each, threshold in zip(grid.flat, histograms, thresholds, strict=False):
            edges = np.array(each["edges"])
            for kind in ("nontarget", "target"):
                counts = np.array(each[kind])
                panel.stairs(counts / max(counts.sum(), 1), edges, fill=True, color=colour(kind), alpha=0.45)
                panel.stairs(counts / max(counts.sum(), 1), edges, color=colour(kind), linewidth=0.9)
            panel.axvline(threshold, color=colour("ink"), linewidth=0.9, linestyle=(0, (3, 2)))
            panel.set_title(f"width {each['dim']}", loc="left")
            panel.yaxis.set_major_locator(NullLocator())
            panel.xaxis.set_major_locator(MaxNLocator(4))
            panel.spines["left"].set_visible(False)
            panel.margins(x=0.02)
        for panel in grid.flat[len(histograms) :]:
            panel.remove()
        figure.supxlabel("score", fontsize=9.5)
        return to_svg(figure, name=name, label=label)


def draw_bayes_errors(
    curves: Sequence[Mapping[str, Any]],
    log_odds: Sequence[float],
    shown: Sequence[Look],
    *,
    name: str,
    label: str,
) -> Markup:
    """Return normalised Bayes errors, actual in full and minimum in faint, with lines at the priors' log odds."""
    with drawing():
        figure = new_figure(3.4)
        axes = figure.add_subplot()
        for curve, look in zip(curves, shown, strict=True):
            axes.plot(curve["log_odds"], curve["act_dcf"], **look.line)
            axes.plot(curve["log_odds"], curve["min_dcf"], color=colour(look.colour), linewidth=3, alpha=0.3)
        for value in log_odds:
            axes.axvline(value, color=colour("muted"), linewidth=0.8, linestyle=(0, (3, 2)))
        highest = max([1.0, *(max(curve["act_dcf"]) for curve in curves)])
        axes.axhline(1, color=colour("muted"), linewidth=0.8)
        axes.set(xlabel="log odds of a target trial", ylabel="normalised cost")
        axes.set_ylim(0, 1.05 * min(highest, 2))
        axes.margins(x=0)
        return to_svg(figure, name=name, label=label)


def _place(x: Sequence[float], ticks: Sequence[float], index: int, count: int, *, widths: bool) -> NDArray[np.float64]:
    """Return places a little apart from those of the other series, so that intervals do not overlap."""
    at = np.log2(x) if widths else np.array(x, dtype=float)
    places = np.log2(ticks) if widths else np.array(ticks, dtype=float)
    gap = np.diff(places).min() if len(places) > 1 else 1.0
    return np.asarray(at + gap * min(0.12, 0.5 / count) * (index - (count - 1) / 2))


def _draw_intervals(axes: Axes, x: NDArray[np.float64], series: Series, look: Look) -> None:
    found = [(place, interval) for place, interval in zip(x, series.intervals, strict=True) if interval is not None]
    if found:
        places, intervals = zip(*found, strict=True)
        low, high = 100 * np.array(intervals).T
        axes.vlines(places, low, high, color=colour(look.colour), linewidth=1.1, alpha=0.75)
        axes.plot(places, low, places, high, color=colour(look.colour), linestyle="none", marker="_", markersize=5)


def _label_places(axes: Axes, ticks: Sequence[float], *, widths: bool) -> None:
    places = np.log2(ticks) if widths else np.array(ticks, dtype=float)
    if len(places) == 1:
        axes.set_xlim(places[0] - 1, places[0] + 1)
    if widths:
        shown = _apart(places, float(np.ptp(places)))
        axes.set_xticks(places, [f"{tick:g}" if index in shown else "" for index, tick in enumerate(ticks)])
        if len(places) > 1:
            axes.margins(x=0.08)
    else:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _det_range(curves: Sequence[Mapping[str, Any]]) -> tuple[float, float]:
    """Return the range of rates to show: up to 60 %, down to the lowest one below that."""
    highest = 0.6
    pairs = np.array([pair for curve in curves for pair in zip(curve["p_fa"], curve["p_miss"], strict=True)])
    seen = pairs[(pairs < highest).all(axis=1)]
    smallest = seen[seen > 0].min(initial=0.05)
    return max(0.7 * float(smallest), DET_TICKS[0]), highest


def _apart(places: NDArray[np.float64], length: float) -> list[int]:
    """Return the indices of rising places that are far enough apart to be labelled; the last one comes first."""
    kept: list[int] = []
    for index in reversed(range(len(places))):
        if not kept or places[kept[-1]] - places[index] > 0.075 * length:
            kept.append(index)
    return kept[::-1]

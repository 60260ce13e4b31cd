"""Draw the scores of one trial list: DET curves, histograms, and the calibration if there are ratios."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator
from numpy.typing import NDArray
from scipy.special import logit, ndtri

from mrlspk.evaluation.report.drawing import MUTED, NONTARGET, TARGET, Look, PlotFigure, new_figure, to_svg, width_looks
from mrlspk.evaluation.report.values import width_names

type Rows = Sequence[Mapping[str, Any]]
type Legend = Sequence[tuple[str, Look]]

DET_TICKS = (0.00001, 0.0001, 0.001, 0.005, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6)


def list_figures(trials: Mapping[str, Any], key: str) -> list[PlotFigure]:
    """Return the figures of one list; ``key`` distinguishes it in the ids of the page."""
    curves, results = trials.get("curves"), trials["results"]
    if curves is None:
        return []
    widths = list(zip(width_names(results), width_looks(len(results)), strict=True))
    figures = [_det(curves["det"], results, widths, f"det-{key}")]
    figures.append(_histograms(curves["histograms"], results, f"histogram-{key}"))
    if curves.get("calibration"):
        figures.append(_bayes_errors(curves["calibration"], results, widths, f"calibration-{key}"))
    return figures


def _det(curves: Rows, results: Rows, legend: Legend, name: str) -> PlotFigure:
    """Return DET curves, the equal error rate of each as a dot on the diagonal."""
    figure, axes, limits = draw_det(curves, legend, x_label="false accepts (%)", y_label="misses (%)")
    for result, (_, look) in zip(results, legend, strict=True):
        axes.plot(ndtri(result["eer"]), ndtri(result["eer"]), "o", color=look.colour, markersize=4, zorder=3)
    axes.plot(limits, limits, color=MUTED, linewidth=0.7, linestyle=(0, (1, 2)))
    axes.set(xlim=limits, ylim=limits)
    label = (
        "Detection error trade-off: misses against false accepts, a curve for each width; "
        "the table of this list holds the equal error rates."
    )
    note = "Both axes are normal deviates; dots are the equal error rates."
    return PlotFigure("DET curves", to_svg(figure, name), label, legend, note)


def draw_det(curves: Rows, legend: Legend, *, x_label: str, y_label: str) -> tuple[Figure, Axes, NDArray[np.float64]]:
    """Return a figure of DET curves on normal-deviate axes, its axes, and their limits."""
    figure = new_figure(3.9)
    axes = figure.add_subplot(aspect="equal", xlabel=x_label, ylabel=y_label)
    low, high = _det_range(curves)
    for curve, (_, look) in zip(curves, legend, strict=True):
        axes.plot(*(ndtri(np.clip(curve[rate], low / 30, 1 - 1e-9)) for rate in ("p_fa", "p_miss")), **look.line)
    limits = ndtri(np.array([low, high]))
    ticks = np.array([tick for tick in DET_TICKS if low <= tick <= high])
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_ticks(ndtri(ticks), [f"{100 * tick:g}" for tick in ticks])
    axes.set(xlim=limits, ylim=limits)
    return figure, axes, limits


def _histograms(histograms: Rows, results: Rows, name: str) -> PlotFigure:
    """Return histograms of target and non-target scores at each width, with the EER threshold as a line."""
    rows = (len(histograms) + 1) // 2
    figure = new_figure(0.5 + 1.35 * rows)
    grid = figure.subplots(rows, min(len(histograms), 2), squeeze=False)
    for panel, each, result in zip(grid.flat, histograms, results, strict=False):
        for kind, colour in (("nontarget", NONTARGET), ("target", TARGET)):
            shares = np.array(each[kind]) / max(sum(each[kind]), 1)
            panel.stairs(shares, each["edges"], fill=True, color=colour, alpha=0.45)
            panel.stairs(shares, each["edges"], color=colour, linewidth=0.9)
        panel.axvline(result["threshold"], color=MUTED, linewidth=1.2, linestyle=(0, (3, 2)))
        panel.set_title(f"width {each['dim']}", loc="left")
        panel.yaxis.set_major_locator(NullLocator())
        panel.xaxis.set_major_locator(MaxNLocator(4))
        panel.spines["left"].set_visible(False)
        panel.margins(x=0.02)
    for panel in grid.flat[len(histograms) :]:
        panel.remove()
    figure.supxlabel("score", fontsize=9.5)
    label = "Histograms of the scores of target and of non-target trials, a panel for each width."
    note = "Each kind sums to one. The dashed line is the threshold of the EER."
    legend = [("non-target", Look(NONTARGET)), ("target", Look(TARGET))]
    return PlotFigure("Scores", to_svg(figure, name), label, legend, note)


def _bayes_errors(curves: Rows, results: Rows, legend: Legend, name: str) -> PlotFigure:
    """Return normalised Bayes errors, actual in full and minimum in faint, with lines at the priors' log odds."""
    figure = new_figure(3.4)
    axes = figure.add_subplot(xlabel="log odds of a target trial", ylabel="normalised cost")
    for curve, (_, look) in zip(curves, legend, strict=True):
        axes.plot(curve["log_odds"], curve["act_dcf"], **look.line)
        axes.plot(curve["log_odds"], curve["min_dcf"], color=look.colour, linewidth=3, alpha=0.3)
    for cost in results[0]["dcf"]:
        axes.axvline(logit(cost["p_target"]), color=MUTED, linewidth=0.8, linestyle=(0, (3, 2)))
    axes.axhline(1, color=MUTED, linewidth=0.8)
    highest = max(max(curve["act_dcf"]) for curve in curves)
    axes.set_ylim(0, 1.05 * np.clip(highest, 1, 2))
    axes.margins(x=0)
    label = "Normalised Bayes error, actual and minimum, against the log odds of the prior, two curves a width."
    note = (
        "Thin: cost at the Bayes threshold of the prior. Broad and faint: cost at the best threshold. "
        "Where the two meet, calibration loses nothing; above 1 the scores do harm. Dashed: the priors of the table."
    )
    return PlotFigure("Calibration", to_svg(figure, name), label, legend, note)


def _det_range(curves: Rows) -> tuple[float, float]:
    """Return the range of rates to show: up to 60 %, down to the lowest one below that."""
    highest = 0.6
    points = np.array([pair for curve in curves for pair in zip(curve["p_fa"], curve["p_miss"], strict=True)])
    seen = points[(points < highest).all(axis=1)]
    return max(0.7 * float(seen[seen > 0].min(initial=0.05)), DET_TICKS[0]), highest

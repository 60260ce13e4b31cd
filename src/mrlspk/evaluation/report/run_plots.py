"""Draw a training run: losses by step, equal error rates by epoch and by width."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from mrlspk.evaluation.report.drawing import MUTED, SERIES, Look, PlotFigure, looks, new_figure, to_svg, width_looks
from mrlspk.evaluation.report.rate_plots import WIDTH, Series, draw_rates
from mrlspk.evaluation.report.values import format_number

type Rows = Sequence[Mapping[str, Any]]

MOST_POINTS = 300  # of a curve; more are averaged in blocks
STEP = "optimiser step"


def run_figures(document: Mapping[str, Any]) -> dict[str, list[PlotFigure]]:
    """Return the figures of the summary and those of the curves; a figure without data is absent."""
    curves = [_losses(document), _losses_by_width(document["steps"]), _rates_by_epoch(document)]
    return {
        "summary": [each for each in [_rates_by_width(document)] if each],
        "curves": [each for each in curves if each],
    }


def _losses(document: Mapping[str, Any]) -> PlotFigure | None:
    """Return the loss of the steps, and the mean of each epoch in training and in validation."""
    steps, epochs = document["steps"], document["epochs"]
    train, mean, held_out = Look(SERIES[0]), Look(SERIES[1]), Look(SERIES[2], "5 2")
    curves = [
        ("training, by step", train, _points(steps, "loss"), ""),
        ("training, mean of the epoch", mean, _points(epochs, "train_loss"), "o"),
        ("validation", held_out, [(each["step"], each["validation"].get("loss")) for each in epochs], "s"),
    ]
    drawn = [(name, look, found, marker) for name, look, found, marker in curves if len(_finite(found))]
    if not drawn:
        return None
    figure = new_figure()
    axes = figure.add_subplot(xlabel=STEP, ylabel="loss")
    for _, look, found, marker in drawn:
        _draw(axes, found, look, marker)
    _finish(axes)
    label = "The loss against the optimiser step; the table of epochs holds the means of each epoch."
    note = "The validation loss has no margin and no augmentation, so it may be below the training loss."
    legend = [(name, look) for name, look, _, _ in drawn]
    return PlotFigure("Loss", to_svg(figure, "loss"), label, legend, note)


def _losses_by_width(steps: Rows) -> PlotFigure | None:
    """Return the training loss of each width."""
    dims = sorted({int(dim) for step in steps for dim in step.get("loss_by_dim") or {}})
    if len(dims) < 2:
        return None
    figure = new_figure()
    axes = figure.add_subplot(xlabel=STEP, ylabel="training loss")
    legend = []
    for dim, look in zip(dims, width_looks(len(dims)), strict=True):
        found = [(step["step"], (step.get("loss_by_dim") or {}).get(str(dim))) for step in steps]
        _draw(axes, found, look)
        legend.append((_width(dim), look))
    _finish(axes)
    label = "The training loss of each width against the optimiser step, a curve for each entry of the legend."
    return PlotFigure("Training loss by width", to_svg(figure, "loss-width"), label, legend)


def _rates_by_epoch(document: Mapping[str, Any]) -> PlotFigure | None:
    """Return the equal error rate of each width by epoch, from the rotation at epoch 0 on if there is one."""
    rotation = (document["baselines"] or {}).get("rotation") or {}
    rows = [(0, rotation)] if rotation else []
    rows += [(each["epoch"], each["validation"]["eer"]) for each in document["epochs"]]
    dims = sorted({int(dim) for _, rates in rows for dim in rates})
    if not document["epochs"] or not dims:
        return None
    series = []
    for dim in dims:
        found = [(epoch, rates[str(dim)]) for epoch, rates in rows if rates.get(str(dim)) is not None]
        series.append(Series([epoch for epoch, _ in found], [rate for _, rate in found], [None] * len(found)))
    note = "Epoch 0 is the rotation, before training." if rotation else ""
    return draw_rates(
        series, width_looks(len(dims)), list(map(_width, dims)), name="eer-epoch", x_label="epoch", note=note
    )


def _rates_by_width(document: Mapping[str, Any]) -> PlotFigure | None:
    """Return the equal error rate of each head by width, or of the best epoch beside the original embedding."""
    found = {name: rates for name, rates in document["rates"].items() if rates}
    if not found:
        return None
    series = []
    for rates in found.values():
        dims = sorted(map(int, rates))
        series.append(Series(dims, [rates[str(dim)] for dim in dims], [None] * len(dims)))
    note = "On held-out speakers. A step along the axis doubles the width."
    return draw_rates(series, looks(len(found)), list(found), name="eer-width", x_label=WIDTH, note=note)


def _points(rows: Rows, key: str) -> list[tuple[float, float | None]]:
    return [(row["step"], row.get(key)) for row in rows]


def _finite(points: Sequence[tuple[float, float | None]]) -> NDArray[np.float64]:
    """Return the points that have a value: (n, 2), at most `MOST_POINTS`, by averages of neighbours."""
    found = np.array([point for point in points if point[1] is not None], dtype=float).reshape(-1, 2)
    blocks = np.array_split(found, min(MOST_POINTS, len(found))) if len(found) else []
    return np.array([block.mean(axis=0) for block in blocks]).reshape(-1, 2)


def _draw(axes: Axes, points: Sequence[tuple[float, float | None]], look: Look, marker: str = "") -> None:
    x, y = _finite(points).T
    axes.plot(x, y, **look.line, marker=marker or ("o" if len(x) == 1 else None), markersize=4)


def _finish(axes: Axes) -> None:
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.set_ylim(bottom=min(0, axes.get_ylim()[0]))
    axes.tick_params(color=MUTED)


def _width(dim: int) -> str:
    return f"width {format_number(dim, 'integer')}"

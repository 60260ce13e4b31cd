"""Draw what a corpus holds: lengths of files, and files of each speaker."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.ticker import MaxNLocator, NullLocator, StrMethodFormatter

from mrlspk.evaluation.report.drawing import MUTED, SERIES, Look, PlotFigure, new_figure, to_svg

EVEN = 1.01  # ratio of bins that are of one width


def corpus_figures(document: Mapping[str, Any]) -> list[PlotFigure]:
    """Return the histograms of a corpus; lengths are absent if no header was read."""
    contents = document["contents"]
    drawn = []
    if "durations" in contents:
        drawn.append(_histogram(contents["durations"], "Length of files", "seconds", "files", "lengths"))
    speakers = contents["files_per_speaker"]
    drawn.append(_histogram(speakers, "Files of each speaker", "files", "speakers", "files-per-speaker"))
    return drawn


def _histogram(spread: Mapping[str, Any], title: str, x_label: str, y_label: str, name: str) -> PlotFigure:
    """Return a histogram with the median as a line."""
    edges, counts = np.array(spread["histogram"]["edges"]), spread["histogram"]["counts"]
    figure = new_figure(2.6)
    axes = figure.add_subplot(xlabel=x_label, ylabel=y_label)
    axes.stairs(counts, edges, fill=True, color=SERIES[0], alpha=0.45)
    axes.stairs(counts, edges, color=SERIES[0], linewidth=0.9)
    axes.axvline(spread["median"], color=MUTED, linewidth=1.2, linestyle=(0, (3, 2)))
    if edges[0] > 0 and np.ptp(np.diff(np.log(edges))) < np.log(EVEN):
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axes.xaxis.set_minor_locator(NullLocator())
    else:
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=x_label == "files"))
    axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.margins(x=0.02)
    least, median, most = (f"{spread[each]:,.4g}" for each in ("min", "median", "max"))
    label = f"Histogram: {title.lower()}, from {least} to {most} {x_label}, median {median}."
    return PlotFigure(
        title, to_svg(figure, name), label, [(y_label, Look(SERIES[0]))], f"Dashed: the median, {median}."
    )

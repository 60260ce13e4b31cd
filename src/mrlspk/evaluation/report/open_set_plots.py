"""Draw the open-set identification of a voice index: its DET curves, and told against measured false accepts."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from mrlspk.evaluation.report.drawing import PlotFigure, to_svg, width_looks
from mrlspk.evaluation.report.score_plots import draw_det
from mrlspk.evaluation.report.values import width_names


def open_set_det(document: Mapping[str, Any]) -> PlotFigure:
    """Return misses against false alarms, a curve for each width."""
    results, curves = document["results"], document["curves"]["det"]
    legend = list(zip(width_names(results), width_looks(len(results)), strict=True))
    figure, _, _ = draw_det(curves, legend, x_label="false alarms, FPIR (%)", y_label="misses, FNIR (%)")
    label = (
        "Open-set detection error trade-off: enrolled speakers not identified against other speakers taken for a "
        "voice, a curve for each width; the table holds the identification rates."
    )
    note = (
        f"Both axes are normal deviates. Rates are shares of searches over {document['voices']:,} voices; a curve ends "
        "at the share of enrolled speakers whose best voice is another's."
    )
    both = [np.multiply(each["p_fa"], each["p_miss"]) for each in curves]
    flawless = [name for (name, _), product in zip(legend, both, strict=True) if not product.any()]
    if flawless:
        note = f"{note} No curve for {', '.join(flawless)}: a threshold parts all enrolled speakers from all others."
    return PlotFigure("Open-set DET curves", to_svg(figure, "det-open-set"), label, legend, note)

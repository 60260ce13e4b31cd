"""Choose the figures of a document and draw them with their legends."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup

from mrlspk.evaluation.report import plots
from mrlspk.evaluation.report.plots import Look, Series
from mrlspk.evaluation.report.values import Numbers

DRAWN_PAIRS = 6  # more differences cannot be told apart


@dataclass(frozen=True)
class PlotFigure:
    """A drawing with its title, its legend and a note."""

    title: str
    svg: Markup
    legend: Sequence[tuple[str | Markup, Look]]
    note: str = ""


def eval_overview(document: Mapping[str, Any], names: Sequence[str]) -> PlotFigure:
    """Return EER against width for all lists."""
    shown = plots.looks(len(names))
    series = [_by_width(trials["results"]) for trials in document["trials"]]
    svg = plots.draw_rates(
        series,
        shown,
        name="eer-width",
        label="The equal error rate against the width, one line for each trial list; "
        "the tables of each list hold its values.",
        x_label="width (values of the embedding)",
        widths=True,
    )
    note = "A step along the axis doubles the width."
    if any(each.has_intervals for each in series):
        note = f"Bars are intervals over speakers. {note}"
    return PlotFigure("EER against width", svg, list(zip(names, shown, strict=True)), note)


def list_figures(document: Mapping[str, Any], index: int) -> list[PlotFigure]:
    """Return the DET curves, the score histograms and, if there are ratios, the calibration of one list."""
    trials = document["trials"][index]
    curves, results = trials.get("curves"), trials["results"]
    if curves is None:
        return []
    shown = plots.width_looks(len(results))
    widths = list(zip(_width_labels(document, index), shown, strict=True))
    det = plots.draw_det(
        curves["det"],
        [result["eer"] for result in results],
        shown,
        name=f"det-{index}",
        label="Detection error trade-off: misses against false accepts, a curve for each width; "
        "the table of this list holds the equal error rates.",
    )
    histograms = plots.draw_histograms(
        curves["histograms"],
        [result["threshold"] for result in results],
        name=f"histogram-{index}",
        label="Histograms of the scores of target and of non-target trials, a panel for each width.",
    )
    kinds: list[tuple[str | Markup, Look]] = [("non-target", Look("nontarget")), ("target", Look("target"))]
    figures = [
        PlotFigure("DET curves", det, widths, "Both axes are normal deviates; dots are the equal error rates."),
        PlotFigure("Scores", histograms, kinds, "Each kind sums to one. The dashed line is the threshold of the EER."),
    ]
    if curves.get("calibration"):
        figures.append(_calibration(curves["calibration"], results, widths, f"calibration-{index}"))
    return figures


def _calibration(
    curves: Sequence[Mapping[str, Any]],
    results: Sequence[Mapping[str, Any]],
    widths: Sequence[tuple[str | Markup, Look]],
    name: str,
) -> PlotFigure:
    priors = [each["p_target"] for each in results[0]["dcf"]]
    svg = plots.draw_bayes_errors(
        curves,
        [float(np.log(prior / (1 - prior))) for prior in priors],
        [look for _, look in widths],
        name=name,
        label="Normalised Bayes error, actual and minimum, against the log odds of the prior, two curves a width.",
    )
    note = (
        "Thin: cost at the Bayes threshold of the prior. Broad and faint: cost at the best threshold. "
        "Where the two meet, calibration loses nothing; above 1 the scores do harm. Dashed: the priors of the table."
    )
    return PlotFigure("Calibration", svg, widths, note)


def compare_figures(document: Mapping[str, Any], index: int, names: Mapping[str, str]) -> list[PlotFigure]:
    """Return EER against width for each model, or against epoch for the checkpoints of a run, and the differences.

    Args:
        document: Of ``compare``.
        index: Of the list.
        names: Name of each model.
    """
    results = document["trials"][index]["results"]
    if document.get("run"):
        return [_against_epoch(document, index)]
    models = [names[model] for model in document["models"]]
    shown = plots.looks(len(models))
    series = [_by_width([{"dim": each["dim"], **each["models"][i]} for each in results]) for i in range(len(models))]
    svg = plots.draw_rates(
        series,
        shown,
        name=f"eer-width-{index}",
        label="The equal error rate against the width, one line for each model; the table holds the values.",
        x_label="width (values of the embedding)",
        widths=True,
    )
    note = ""
    if series[0].has_intervals:
        note = "Bars are intervals of each model alone; see the differences for whether two models differ."
    figures = [PlotFigure("EER against width", svg, list(zip(models, shown, strict=True)), note)]
    if 0 < len(results[0]["pairs"]) <= DRAWN_PAIRS:
        figures.append(_differences(results, names, f"difference-{index}"))
    return figures


def _differences(results: Sequence[Mapping[str, Any]], names: Mapping[str, str], name: str) -> PlotFigure:
    pairs = results[0]["pairs"]
    shown = plots.looks(len(pairs))
    dims = [each["dim"] for each in results]
    series = [
        Series(
            dims,
            [each["pairs"][i]["delta_eer"] for each in results],
            [each["pairs"][i].get("delta_ci") for each in results],
            [[speaker["delta"] for speaker in each["pairs"][i].get("speakers") or ()] for each in results],
        )
        for i in range(len(pairs))
    ]
    svg = plots.draw_differences(
        series,
        shown,
        name=name,
        label="Differences of the equal error rate with their intervals against the width; the table holds the values.",
    )
    labels = [f"{names[pair['b']]} − {names[pair['a']]}" for pair in pairs]
    lower = names[pairs[0]["b"]] if len(pairs) == 1 else "the model before the minus sign"
    note = f"Below zero {lower} has the lower error. "
    if series[0].has_intervals:
        note += "An interval that contains zero names no winner."
    elif any(series[0].parts):
        note += "Small dots are speakers, each with the trials that include the speaker."
    return PlotFigure("Differences, paired", svg, list(zip(labels, shown, strict=True)), note)


def _against_epoch(document: Mapping[str, Any], index: int) -> PlotFigure:
    epochs = {each["model"]: each["epoch"] for each in document["run"]["checkpoints"]}
    results = document["trials"][index]["results"]
    shown, series = plots.width_looks(len(results)), []
    for result in results:
        rows = sorted((epochs[each["model"]], each["eer"], each.get("eer_ci")) for each in result["models"])
        series.append(Series(*zip(*rows, strict=True)))
    svg = plots.draw_rates(
        series,
        shown,
        name=f"eer-epoch-{index}",
        label="The equal error rate against the epoch, one line for each width; the table holds the values.",
        x_label="epoch",
        widths=False,
    )
    labels = _width_labels(document, index)
    note = "Bars are intervals over speakers." if series[0].has_intervals else ""
    return PlotFigure("EER against epoch", svg, list(zip(labels, shown, strict=True)), note)


def _width_labels(document: Mapping[str, Any], index: int) -> list[Markup]:
    numbers, results = Numbers(document), document["trials"][index]["results"]
    paths = [f"trials.{index}.results.{place}.dim" for place in range(len(results))]
    return [Markup("width {}").format(numbers.show(path, "count")) for path in paths]


def _by_width(rows: Sequence[Mapping[str, Any]]) -> Series:
    return Series([row["dim"] for row in rows], [row["eer"] for row in rows], [row.get("eer_ci") for row in rows])

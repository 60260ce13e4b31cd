"""Render the page of a report: numbers, tables and figures of a document in one self-contained HTML file."""

from collections.abc import Mapping, Sequence
from typing import Any

from mrlspk.evaluation.report.corpus_plots import corpus_figures
from mrlspk.evaluation.report.drawing import drawing
from mrlspk.evaluation.report.environment import build_environment, embedded_json
from mrlspk.evaluation.report.open_set_plots import open_set_det
from mrlspk.evaluation.report.rate_plots import compare_figures, eval_overview
from mrlspk.evaluation.report.run_plots import run_figures
from mrlspk.evaluation.report.score_plots import list_figures
from mrlspk.evaluation.report.values import model_names, model_title, short_names
from mrlspk.metrics.significance import PAIRS_SUBTRACTED

# Metrics of a width that the page places by name.
PLACED = {"dim", "eer", "eer_ci", "threshold", "accuracy", "dcf", "cllr", "min_cllr", "calibrated_threshold"}
PLACED |= {"false_accepts", "min_dcf", "min_dcf_ci"}
OUTCOMES = {"WIN": "better", "EVEN": "same", "REGRESSION": "worse"}  # of a verdict


def render_page(document: Mapping[str, Any]) -> str:
    """Return the HTML of a document of a command with a report; equal documents give equal text."""
    if document["command"] == "report":
        return _render_run(document)
    if document["command"] == "index evaluate":
        return _render_open_set(document)
    if document["command"] == "data check":
        return _render_corpus(document)
    lists = document["trials"]
    names = short_names([trials["path"] for trials in lists])
    models = model_names(document.get("models") or [document["model"]["path"]])
    with drawing():
        if document["command"] == "compare":
            overview = None
            figures = [compare_figures(document, trials, models, str(i)) for i, trials in enumerate(lists)]
        else:
            overview = eval_overview(document, names)
            figures = [list_figures(trials, str(i)) for i, trials in enumerate(lists)]
    environment = build_environment()
    environment.globals |= {"document": document, "names": names, "overview": overview, "figures": figures}
    environment.globals |= {"measured": _measured(names), "model_title": model_title(next(iter(models)))}
    environment.globals |= {"compared": _compared(document, models)}
    environment.globals |= {"norms": {"none": "none", "s": "S-Norm", "as": "AS-Norm"}}
    environment.globals |= {"heat": heat, "further_metrics": further_metrics, "pairs_subtracted": PAIRS_SUBTRACTED}
    environment.filters["model"] = models.__getitem__
    environment.tests["has_intervals"] = has_intervals
    template = environment.get_template(f"{document['command']}.html.j2")
    return (
        template.render(data=embedded_json(document), numbered=list(models.values()) != short_names(list(models)))
        + "\n"
    )


def _measured(names: Sequence[str]) -> str:
    """Return what lists the figures are of, for a title."""
    return " and ".join(names) if len(names) <= 2 else f"{len(names)} trial lists"


def _compared(document: Mapping[str, Any], models: Mapping[str, str]) -> str:
    """Return what is compared, for a title."""
    if document.get("run"):
        return f"{short_names([document['run']['path']])[0]} by epoch"
    return " · ".join(models.values()) if len(models) <= 3 else f"{len(models)} models"


def _render_run(document: Mapping[str, Any]) -> str:
    with drawing():
        figures = run_figures(document)
    environment = build_environment()
    environment.globals |= {"document": document, "figures": figures, "outcomes": OUTCOMES}
    return environment.get_template("run.html.j2").render(data=embedded_json(document)) + "\n"


def _render_open_set(document: Mapping[str, Any]) -> str:
    with drawing():
        figures = [open_set_det(document)]
    environment = build_environment()
    heads = [f"at {100 * each['false_alarm_rate']:g} %" for each in document["results"][0]["rates"]]
    environment.globals |= {"document": document, "figures": figures, "rate_heads": heads}
    environment.globals |= {"index_name": short_names([document["index"]])[0]}
    return environment.get_template("open_set.html.j2").render(data=embedded_json(document)) + "\n"


def _render_corpus(document: Mapping[str, Any]) -> str:
    with drawing():
        figures = corpus_figures(document)
    left_out: dict[str, list[str]] = {}
    for each in document["left_out"]:
        left_out.setdefault(each["reason"], []).append(each["path"])
    environment = build_environment()
    environment.globals |= {"document": document, "figures": figures, "left_out": left_out}
    environment.globals |= {"corpus_name": short_names([document["path"]])[0]}
    shown = {key: value for key, value in document.items() if key not in {"problems", "left_out"}}  # may be millions
    return environment.get_template("corpus.html.j2").render(data=embedded_json(shown)) + "\n"


def has_intervals(trials: Mapping[str, Any]) -> bool:
    """Return whether the metrics of a list have intervals."""
    return bool((trials.get("intervals") or {}).get("n_resamples"))


def further_metrics(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the metrics that the page does not place by name: a new metric gets a column without a change here."""
    return [name for name, value in rows[0].items() if name not in PLACED and isinstance(value, float)]


def heat(value: float | None, values: Sequence[float | None]) -> str:
    """Return the place of a value between the minimum and maximum of ``values``, 0 to 1, for a shade."""
    found = [each for each in values if each is not None]
    if value is None or max(found) == min(found):
        return "0"
    return f"{(value - min(found)) / (max(found) - min(found)):.3f}"

"""Render the page of a report: numbers, tables and figures of a document in one self-contained HTML file."""

import json
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from mrlspk.evaluation.report.drawing import drawing
from mrlspk.evaluation.report.rate_plots import compare_figures, eval_overview
from mrlspk.evaluation.report.score_plots import list_figures
from mrlspk.evaluation.report.values import (
    FORMATS,
    format_interval,
    format_number,
    model_names,
    short_names,
    width_names,
)
from mrlspk.metrics.significance import PAIRS_SUBTRACTED

# Metrics of a width that the page places by name.
PLACED = {"dim", "eer", "eer_ci", "threshold", "accuracy", "dcf", "cllr", "min_cllr", "calibrated_threshold"}
PLACED |= {"false_accepts", "min_dcf", "min_dcf_ci"}


def render_page(document: Mapping[str, Any]) -> str:
    """Return the HTML of a document of ``eval`` or ``compare``; equal documents give equal text."""
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
    environment = _environment()
    environment.globals |= {"document": document, "names": names, "overview": overview, "figures": figures}
    environment.filters["model"] = models.__getitem__
    template = environment.get_template(f"{document['command']}.html.j2")
    return (
        template.render(data=embedded_json(document), numbered=list(models.values()) != short_names(list(models)))
        + "\n"
    )


def _environment() -> Environment:
    """Return the template environment of both pages."""
    environment = Environment(
        loader=PackageLoader("mrlspk.evaluation.report"),
        autoescape=True,
        finalize=visible,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters |= {kind: partial(format_number, kind=kind) for kind in FORMATS}
    environment.filters |= {"number": format_number, "interval": format_interval}
    environment.filters["short"] = lambda path: short_names([path])[0]
    environment.filters["widths"] = width_names
    environment.globals |= {"norms": {"none": "none", "s": "S-Norm", "as": "AS-Norm"}, "any_of": any_of}
    environment.globals |= {"heat": heat, "further_metrics": further_metrics, "pairs_subtracted": PAIRS_SUBTRACTED}
    environment.tests["has_intervals"] = has_intervals
    return environment


def visible(value: object) -> object:
    r"""Return text with characters that do not print, or that reverse text, shown as ``\x1b``."""
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in value)


def embedded_json(document: Mapping[str, Any]) -> Markup:
    """Return the document as JSON that cannot end its script element."""
    text = json.dumps(document, allow_nan=False, separators=(",", ":"))
    for letter in "<>&":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return Markup(text)  # noqa: S704 - escaped as JSON just above


def has_intervals(trials: Mapping[str, Any]) -> bool:
    """Return whether the metrics of a list have intervals."""
    return bool((trials.get("intervals") or {}).get("n_resamples"))


def any_of(rows: Sequence[Mapping[str, Any]], key: str) -> bool:
    """Return whether one of the rows has a value under ``key``."""
    return any(row.get(key) is not None for row in rows)


def further_metrics(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the metrics that the page does not place by name: a new metric gets a column without a change here."""
    return [name for name, value in rows[0].items() if name not in PLACED and isinstance(value, float)]


def heat(value: float | None, values: Sequence[float | None]) -> str:
    """Return the place of a value between the minimum and maximum of ``values``, 0 to 1, for a shade."""
    found = [each for each in values if each is not None]
    if value is None or max(found) == min(found):
        return "0"
    return f"{(value - min(found)) / (max(found) - min(found)):.3f}"

"""Render the page of a report: numbers, tables and figures of a document in one self-contained HTML file."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from mrlspk.evaluation.report.figures import compare_figures, eval_overview, list_figures
from mrlspk.evaluation.report.values import Numbers, model_names, path_key, short_names
from mrlspk.metrics.significance import PAIRS_SUBTRACTED

# Metrics of a width that the page places by name.
PLACED = {"dim", "eer", "eer_ci", "threshold", "accuracy", "dcf", "cllr", "min_cllr", "calibrated_threshold"}
PLACED |= {"false_accepts", "min_dcf", "min_dcf_ci"}
NORMS = {"none": "none", "s": "S-Norm", "as": "AS-Norm"}


def render_page(document: Mapping[str, Any]) -> str:
    """Return the HTML of a document of ``eval`` or ``compare``; equal documents give equal text."""
    environment = _environment(document)
    names = short_names([trials["path"] for trials in document["trials"]])
    figures: dict[str, Any]
    if document["command"] == "compare":
        models = model_names(document["models"])
        figures = {"lists": [compare_figures(document, index, models) for index in range(len(names))]}
        _name_models(environment, document, models)
    else:
        figures = {
            "overview": eval_overview(document, names),
            "lists": [list_figures(document, index) for index in range(len(names))],
        }
    template = environment.get_template(f"{document['command']}.html.j2")
    return template.render(document=document, names=names, figures=figures, data=embedded_json(document)) + "\n"


def _environment(document: Mapping[str, Any]) -> Environment:
    """Return the template environment of both pages."""
    numbers = Numbers(document)
    environment = Environment(
        loader=PackageLoader("mrlspk.evaluation.report"),
        autoescape=True,
        finalize=visible,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.globals |= {
        "number": numbers.show,
        "interval": numbers.interval,
        "estimate": numbers.estimate,
        "heat": heat,
        "any_of": any_of,
        "further_metrics": further_metrics,
        "short": lambda path: short_names([path])[0],
        "norm_name": lambda norm: NORMS[norm],
        "pairs_subtracted": f"{PAIRS_SUBTRACTED:g}",
    }
    environment.tests["has_intervals"] = has_intervals
    return environment


def _name_models(environment: Environment, document: Mapping[str, Any], models: Mapping[str, str]) -> None:
    """Add the model names and their helpers for the templates of a comparison."""
    environment.globals |= {
        "key": path_key,
        "scored_alike": len({tuple(sorted(way.items())) for way in (document.get("scored_as") or {}).values()}) == 1,
        "epoch_path": lambda model: _epoch_path(document, model),
        "numbered": list(models.values()) != short_names(list(models)),
    }
    environment.filters["short_model"] = models.__getitem__


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


def _epoch_path(document: Mapping[str, Any], model: str) -> str:
    """Return the path of a model's epoch in the document."""
    models = [each["model"] for each in document["run"]["checkpoints"]]
    return f"run.checkpoints.{models.index(model)}.epoch"


def heat(value: float | None, values: Sequence[float | None]) -> str:
    """Return the place of a value between the minimum and maximum of ``values``, 0 to 1, for a shade."""
    found = [each for each in values if each is not None]
    if value is None or max(found) == min(found):
        return "0"
    return f"{(value - min(found)) / (max(found) - min(found)):.3f}"

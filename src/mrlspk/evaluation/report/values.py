"""Format numbers of a document for the page, and shorten the names of lists and models."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from markupsafe import Markup

ABSENT = "–"
OF_A_RUN = re.compile(r"(best|last|trained|start|rotation|averaged|epoch-\d+)\.(pt|onnx|safetensors)")
LONGEST_NAME = 32  # models with longer names are numbered in tables and legends


def _signed(value: float, decimals: int) -> str:
    text = f"{value:+.{decimals}f}"
    return f"{0:.{decimals}f}" if float(text) == 0 else text


FORMATS: Mapping[str, Callable[[Any], str]] = {
    "percent": lambda value: f"{100 * value:.2f}",
    "share": lambda value: f"{100 * value:g}",
    "points": lambda value: _signed(100 * value, 2),
    "cost": lambda value: f"{value:z.4f}",
    "cost_change": lambda value: _signed(value, 4),
    "score": lambda value: f"{value:.4f}",
    "p_value": lambda value: "< 0.001" if value < 0.001 else f"{value:.3f}",
    "seconds": lambda value: f"{value:,.1f}",
    "integer": lambda value: f"{value:,}",
    "general": lambda value: f"{value:g}",
}


def format_number(value: float | None, kind: str) -> str:
    """Format a number for the page; ``kind`` is a key of ``FORMATS``. None and NaN are a dash."""
    if value is None or math.isnan(value):
        return ABSENT
    return FORMATS[kind](value).replace("-", "\N{MINUS SIGN}")


def format_interval(bounds: Sequence[float] | None, kind: str) -> Markup:
    """Format an interval (low, high); None is nothing."""
    if bounds is None:
        return Markup()
    low, high = (format_number(bound, kind) for bound in bounds)
    return Markup('<span class="interval">[{}, {}]</span>').format(low, high)


def width_names(results: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the name of the width of each result."""
    return [f"width {format_number(result['dim'], 'integer')}" for result in results]


def short_names(paths: Sequence[str]) -> list[str]:
    """Return the fewest last parts of each path that tell the paths apart."""
    parts = [[part for part in path.replace("\\", "/").split("/") if part] or [path] for path in paths]
    for count in range(1, max(map(len, parts), default=0) + 1):
        names = ["/".join(each[-count:]) for each in parts]
        if len(set(names)) == len(names):
            return names
    return list(paths)


def model_names(models: Sequence[str]) -> dict[str, str]:
    """Return the name of each model in tables and legends: short, or numbered if one of them is too long."""
    names = short_names(models)
    if max(map(len, names)) > LONGEST_NAME:
        names = [f"model {number}" for number in range(1, len(models) + 1)]
    return dict(zip(models, names, strict=True))


def model_title(path: str) -> str:
    """Return the name of a model for a title: of a checkpoint that each run has, the folder of the run too."""
    *folders, name = [part for part in path.replace("\\", "/").split("/") if part] or [path]
    return f"{folders[-1]}/{name}" if folders and OF_A_RUN.fullmatch(name) else name

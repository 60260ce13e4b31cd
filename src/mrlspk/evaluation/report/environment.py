"""Build the template environment of the pages: filters for numbers and names, text of files made harmless."""

import json
import re
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from mrlspk.evaluation.report.values import FORMATS, format_interval, format_number, short_names, width_names

SEPARATOR = re.compile(r"(?<=\w[/\\_=:+-])(?=\w)")  # a line may break here


def build_environment() -> Environment:
    """Return the template environment of every page."""
    environment = Environment(
        loader=PackageLoader("mrlspk.evaluation.report"),
        autoescape=True,
        finalize=visible,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters |= {kind: partial(format_number, kind=kind) for kind in FORMATS}
    environment.filters |= {
        "number": format_number,
        "interval": format_interval,
        "breakable": breakable,
        "command": command,
        "lines": lines,
    }
    environment.filters["short"] = lambda path: short_names([path])[0]
    environment.filters["widths"] = width_names
    environment.globals["any_of"] = any_of
    return environment


def visible(value: object) -> object:
    r"""Return text with characters that do not print, or that reverse text, shown as ``\x1b``."""
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in value)


def breakable(value: str) -> Markup:
    """Return a path or a name that a line may break after its separators, and so not in the middle of a word."""
    return Markup("<wbr>").join(escape(part) for part in SEPARATOR.split(str(visible(value))))


def command(value: str) -> Markup:
    """Return a command whose lines may break between its words and inside paths, but not inside flags."""
    flag = Markup('<span class="flag">{}</span>').format
    return Markup(" ").join(flag(visible(w)) if w.startswith("-") else breakable(w) for w in value.split(" "))


def lines(text: str) -> Markup:
    """Return text of several lines, each of them made visible and breakable."""
    return Markup("\n").join(map(breakable, text.splitlines()))


def embedded_json(document: Mapping[str, Any]) -> Markup:
    """Return the document as JSON that cannot end its script element."""
    text = json.dumps(document, allow_nan=False, separators=(",", ":"))
    for letter in "<>&":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return Markup(text)  # noqa: S704 - escaped as JSON just above


def any_of(rows: Sequence[Mapping[str, Any]], key: str) -> bool:
    """Return whether one of the rows has a value under ``key``."""
    return any(row.get(key) is not None for row in rows)

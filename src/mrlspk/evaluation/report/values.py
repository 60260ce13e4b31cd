"""Look up values of a document and format them for the page, with short names of lists and models."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import quote, unquote

from markupsafe import Markup, escape

ABSENT = "–"


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
    "p": lambda value: "< 0.001" if value < 0.001 else f"{value:.3f}",
    "count": lambda value: f"{value:,}",
    "general": lambda value: f"{value:g}",
}


def format_number(value: float | None, kind: str) -> str:
    """Format a number for the page; ``kind`` is a key of ``FORMATS``, None is a dash."""
    return ABSENT if value is None else FORMATS[kind](value).replace("-", "\N{MINUS SIGN}")


class Numbers:
    """Shows values of a document by their path, such as ``trials.0.results.1.eer``."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document

    def at(self, path: str) -> Any:
        """Return the value at a path; None if a key is absent."""
        value: Any = self._document
        for key in path.split("."):
            if value is None:
                return None
            value = value[int(key)] if isinstance(value, list) else value.get(name_of_key(key))
        return value

    def show(self, path: str, kind: str) -> Markup:
        """Return the number at a path, marked with the path and its format."""
        text = format_number(self.at(path), kind)
        return Markup(f'<span data-path="{escape(path)}" data-format="{escape(kind)}">{escape(text)}</span>')

    def interval(self, path: str, kind: str) -> Markup:
        """Return the interval (low, high) at a path; nothing if there is none."""
        if self.at(path) is None:
            return Markup()
        low, high = self.show(f"{path}.0", kind), self.show(f"{path}.1", kind)
        return Markup(f'<span class="interval">[{low}, {high}]</span>')

    def estimate(self, path: str, interval: str, kind: str) -> Markup:
        """Return the number at a path, and the interval at another."""
        return self.show(path, kind) + self.interval(interval, kind)


LONGEST_NAME = 32  # models with longer names are numbered in tables and legends


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


def path_key(name: str) -> str:
    """Return a name as a key in a path of a document, without the dots that separate keys."""
    return quote(name, safe="", errors="surrogatepass").replace(".", "%2E")


def name_of_key(key: str) -> str:
    """Return the name that a key in a path stands for."""
    return unquote(key, errors="surrogatepass")

"""Turn figures into SVG that takes colours and type from the page around it."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from typing import Any

import matplotlib
from markupsafe import Markup, escape
from matplotlib.figure import Figure

# Names of the page's colours. Matplotlib draws each in a placeholder; `to_svg` replaces that by the page's variable.
N_SERIES, N_WIDTHS = 8, 8
_NAMES = (
    "ink",
    "muted",
    "line",
    "target",
    "nontarget",
    *(f"series-{number}" for number in range(N_SERIES)),
    *(f"width-{number}" for number in range(N_WIDTHS)),
)
_STAND_IN = re.compile("#0001([0-9a-f]{2})")

WIDTH_INCHES = 4.3  # 310 units: a phone shows it unscaled, so the type stays readable


def colour(name: str) -> str:
    """Return the placeholder of one of the page's colours."""
    return f"#0001{_NAMES.index(name):02x}"


@contextmanager
def drawing() -> Iterator[None]:
    """Use the settings of the report over Matplotlib's defaults, without the user's settings."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_settings())
        yield


def _settings() -> Any:
    """Return Matplotlib's settings by name; the salt gives equal figures equal text."""
    ink, muted = colour("ink"), colour("muted")
    return {
        "axes.axisbelow": True,
        "axes.edgecolor": muted,
        "axes.facecolor": "none",
        "axes.grid": True,
        "axes.labelcolor": ink,
        "axes.linewidth": 0.8,
        "axes.spines.right": False,
        "axes.spines.top": False,
        "axes.titlesize": 9.5,
        "axes.unicode_minus": True,
        "figure.constrained_layout.use": True,
        "figure.facecolor": "none",
        "font.family": "sans-serif",
        "font.size": 9.5,
        "grid.color": colour("line"),
        "grid.linewidth": 0.7,
        "lines.linewidth": 1.4,
        "savefig.facecolor": "none",
        "svg.fonttype": "none",
        "svg.hashsalt": "mrlspk",
        "text.color": ink,
        "xtick.color": muted,
        "xtick.labelcolor": ink,
        "ytick.color": muted,
        "ytick.labelcolor": ink,
    }


def new_figure(height: float = 3.0) -> Figure:
    """Return a figure of ``height`` inches; call it within `drawing`."""
    return Figure(figsize=(WIDTH_INCHES, height))


def to_svg(figure: Figure, *, name: str, label: str) -> Markup:
    """Return the figure as an inline SVG element.

    Args:
        figure: Drawn within `drawing`, in colours of ``colour``.
        name: Prefix of the ids inside, so that no two figures of a page share one.
        label: Text for screen readers.
    """
    text = StringIO()
    with drawing():
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    body = text.getvalue()
    view_box = re.search(r'viewBox="[^"]*"', body)
    inner = body[body.index(">", body.index("<svg")) + 1 : body.rindex("</svg>")]
    inner = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->", "", inner, flags=re.DOTALL)
    inner = _STAND_IN.sub(lambda found: f"var(--{_NAMES[int(found[1], 16)]})", inner)
    inner = re.sub(r"font: ([\d.]+px) [^;\"]*", r"font-size: \1", inner)  # as Matplotlib 3.10 writes it
    inner = re.sub(r"font-family: [^;\"]*; ?", "", inner)
    inner = _own_ids(inner.replace("xlink:href", "href"), name)
    inner = re.sub(r"\s*\n\s*", "\n", inner).strip()
    box = view_box[0] if view_box else ""
    return Markup(f'<svg class="plot" {box} role="img" aria-label="{escape(label)}">\n{inner}\n</svg>')


def _own_ids(text: str, name: str) -> str:
    """Return the text with ids that begin with ``name`` and without ids that nothing refers to."""
    used = set(re.findall(r'(?:href="|url\()#([^")]+)', text))
    text = re.sub(r' id="([^"]+)"', lambda found: f' id="{name}-{found[1]}"' if found[1] in used else "", text)
    return re.sub(r'(href="|url\()#', rf"\g<1>#{name}-", text)

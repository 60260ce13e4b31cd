"""Draw with Matplotlib for a page that is light or dark: transparent ground, mid-tones, type of the page."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import StringIO
from itertools import cycle, islice
from typing import Any

import matplotlib
from markupsafe import Markup
from matplotlib.figure import Figure

# Each colour has a contrast of at least 3 with the light and with the dark page.
MUTED = "#7f8894"
SERIES = ("#3b82d0", "#d9652b", "#2f9a63", "#a066cc", "#a8850f", "#d6508f", "#2b96a3", MUTED)
WIDTHS = ("#b98708", "#cc6d22", "#d15546", "#c94a78", "#b04fa0", "#8d62c4", "#6a73d6", "#3f86d2")
TARGET, NONTARGET = SERIES[:2]
DASHES = ("", "5 2", "1.5 1.5", "7 2 1.5 2")
MARKERS = "osD^vP"
WIDTH_INCHES = 4.3  # 310 units: a phone shows it unscaled, so the type stays readable

_SETTINGS: Any = {  # Any: Matplotlib's types take literal names only
    "axes.axisbelow": True,
    "axes.edgecolor": MUTED,
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 9.5,
    "figure.constrained_layout.use": True,
    "font.size": 9.5,
    "grid.alpha": 0.25,
    "grid.color": MUTED,
    "grid.linewidth": 0.7,
    "lines.linewidth": 1.4,
    "savefig.transparent": True,
    "svg.fonttype": "none",
    "xtick.color": MUTED,
    "ytick.color": MUTED,
}


@dataclass(frozen=True)
class Look:
    """The look of one series in a plot and its legend: a colour, and the dashes of the line as in SVG."""

    colour: str
    dash: str = ""
    marker: str = "o"

    @property
    def line(self) -> dict[str, Any]:
        """Return Matplotlib's arguments."""
        dashes = tuple(map(float, self.dash.split()))
        return {"color": self.colour, "linestyle": (0, dashes) if dashes else "-"}


@dataclass(frozen=True)
class PlotFigure:
    """A drawing with its title, the text for screen readers, the legend and a note."""

    title: str
    svg: Markup
    label: str
    legend: Sequence[tuple[str, Look]]
    note: str = ""


def looks(n_series: int, colours: Sequence[str] = SERIES) -> list[Look]:
    """Return distinct looks for lists or models."""
    parts = zip(cycle(colours), cycle(DASHES), cycle(MARKERS), strict=False)
    return [Look(*each) for each in islice(parts, n_series)]


def width_looks(n_widths: int) -> list[Look]:
    """Return looks for rising widths along one colour scale; the widest is at its end."""
    last = len(WIDTHS) - 1
    steps = [last - round(i * last / max(n_widths - 1, 1)) for i in reversed(range(n_widths))]
    return looks(n_widths, [WIDTHS[step] for step in steps])


@contextmanager
def drawing() -> Iterator[None]:
    """Use the settings of the report over Matplotlib's defaults, without the user's settings."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_SETTINGS)
        yield


def new_figure(height: float = 3.0) -> Figure:
    """Return a figure of ``height`` inches; draw it within `drawing`."""
    return Figure(figsize=(WIDTH_INCHES, height))


def to_svg(figure: Figure, name: str) -> Markup:
    """Return the figure as an SVG element; its ids begin with ``name``, so that no two of a page are equal."""
    figure.draw_without_rendering()  # makes the layout and the ticks
    figure.set_layout_engine("none")
    for number, artist in enumerate(figure.findobj()):
        artist.set_gid(f"{name}-{number}")
    text = StringIO()
    with matplotlib.rc_context({"svg.hashsalt": name}):
        figure.savefig(text, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    return Markup(text.getvalue().partition("<!DOCTYPE")[2].partition(">")[2].strip())  # noqa: S704 - of Matplotlib

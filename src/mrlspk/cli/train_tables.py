"""What a run that trains a head is held against, as tables."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.console import RenderableType
from rich.table import Table

from mrlspk.cli import output
from mrlspk.cli.eval import LABELS
from mrlspk.cli.trial_options import percent, rate_table

if TYPE_CHECKING:
    from mrlspk.training.head.verdict import Verdict, WidthVerdict
    from mrlspk.training.records import Baselines

NOT_THERE = "–"


def epoch_table(baselines: "Baselines", eer: dict[int, float], name: str) -> Table:
    """Return the equal error rates by width of what is to be beaten, and of one epoch."""
    rows = {
        LABELS["truncation"]: baselines.truncation,
        f"rotation ({baselines.rotation_method})": baselines.rotation,
        name: eer,
    }
    return rate_table(baselines.own_dim, baselines.own, rows, dims=tuple(eer))


def verdict_pieces(verdict: "Verdict") -> Iterator[RenderableType]:
    """Yield the verdict width by width, and what was kept."""
    yield output.table(
        "trained head against rotation, on held-out speakers",
        ("width", "EER % rotation", "EER % trained", "difference, 95 %", "verdict"),
        map(_verdict_row, verdict.widths),
    )
    file = "trained.pt" if verdict.kept == "trained" else "rotation.pt; the trained head stays as trained.pt"
    yield f"best.pt is {file}: {verdict.reason}"


def _verdict_row(width: "WidthVerdict") -> tuple[object, ...]:
    dim = str(width.dim) if width.published else f"{width.dim} (not published)"
    if width.delta_ci is not None:
        sure = f"{100 * width.delta_ci[0]:+.2f} … {100 * width.delta_ci[1]:+.2f}"
    else:
        sure = f"McNemar p = {width.p_value:.3g}" if width.p_value is not None else NOT_THERE
    return dim, percent(width.rotation), percent(width.trained), sure, width.outcome

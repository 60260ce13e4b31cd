"""A model beside what it came from, as a table by width."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from rich.table import Table

from mrlspk.cli import output
from mrlspk.cli.trial_options import percent

if TYPE_CHECKING:
    from mrlspk.evaluation.list_report import ListReport

LABELS = {"truncation": "own, truncated", "rotation": "rotation"}


def rate_table(own_dim: int, own: float, rows: Mapping[str, Mapping[int, float]], *, dims: tuple[int, ...]) -> Table:
    """Return equal error rates by width: of the own embedding, at its full width, in each column, then of ``rows``."""
    rates = {f"own embedding, {own_dim} values": dict.fromkeys(dims, own), **rows}
    cells = ((label, *(percent(found.get(dim)) for dim in dims)) for label, found in rates.items())
    return output.table(None, ("EER %", *map(str, dims)), cells)


def baseline_table(trials: "ListReport") -> Table:
    """Return the equal error rates of the baselines of a list, and of the model."""
    rates = {each.name: {width.dim: width.eer for width in each.results} for each in trials.baselines}
    ((own_dim, own),) = rates.pop("own").items()
    rows = {LABELS[name]: found for name, found in rates.items()}
    model = {width.dim: width.eer for width in trials.results}
    return rate_table(own_dim, own, rows | {"this model": model}, dims=tuple(model))

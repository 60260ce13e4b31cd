"""Show the problems of a corpus or of a vector file."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rich.console import RenderableType

from mrlspk.cli import output

if TYPE_CHECKING:
    from mrlspk.data.problems import Problem

SHOWN = 20  # problems in the table; --json has all of them


def problem_tables(problems: Sequence["Problem"]) -> Iterator[RenderableType]:
    """Yield a table of the first problems, and a line that counts errors and warnings."""
    if problems:
        rows = ((each.where, each.severity, each.kind, each.message) for each in problems[:SHOWN])
        yield output.table(None, ("where", "severity", "kind", "message"), rows)
    if len(problems) > SHOWN:
        yield f"… and {len(problems) - SHOWN} more; --json shows all of them"
    n_of = Counter(problem.severity for problem in problems)
    yield f"{'not ok' if n_of['error'] else 'ok'}: errors {n_of['error']}, warnings {n_of['warning']}"

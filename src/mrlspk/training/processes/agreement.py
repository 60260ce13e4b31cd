"""What one process of a run does for all of them, and failures that all of them share.

A process that leaves a collective call to the others lets them wait: here each `MrlspkError` becomes one of them all.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from mrlspk.errors import MrlspkError
from mrlspk.training.processes.ranks import Ranks


def told_once[Error: MrlspkError](ranks: Ranks, error: Error) -> Error:
    """Return an error that all processes raise, to be shown by the first of them alone."""
    error.is_told = not ranks.is_first
    return error


def by_first[Value](ranks: Ranks, make: Callable[[], Value]) -> Value:
    """Return what ``make`` gives in the first process, which alone calls it, in all of them.

    Raises:
        MrlspkError: If it raises one.
    """
    outcome: Any = None
    if ranks.is_first:
        try:
            outcome = make()
        except MrlspkError as error:
            outcome = error
    outcome = ranks.share(outcome)
    if isinstance(outcome, MrlspkError):
        raise told_once(ranks, outcome)
    found: Value = outcome
    return found


@contextmanager
def failing_together(ranks: Ranks) -> Iterator[None]:
    """Let an error of one process in the block be raised in all of them, once all have come to its end.

    Raises:
        MrlspkError: That of the first process that had one.
    """
    own = None
    try:
        yield
    except MrlspkError as error:
        own = error
    for found in ranks.gather(own):
        if found is not None:
            raise told_once(ranks, found)

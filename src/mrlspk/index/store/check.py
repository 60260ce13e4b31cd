"""Check an index and collect every problem."""

import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

from mrlspk.data.problems import Problem, error
from mrlspk.errors import MrlspkError
from mrlspk.index.store.array_checks import check_arrays
from mrlspk.index.store.database import FILE_NAME, Database
from mrlspk.index.store.database_checks import check_pages, check_tables
from mrlspk.index.store.folder_checks import check_folder
from mrlspk.index.store.state import State, read_state

MOST_OF_A_KIND = 100


def check_index(database: Database, folder: Path) -> list[Problem]:
    """Return every problem; warnings tell what interrupted changes left, and who else may read the files.

    Raises:
        MrlspkError: If the database cannot be read at all.
    """
    while True:
        with database.connection() as connection:
            connection.execute("BEGIN")
            generation = _generation(connection)
            problems = _first_of_each_kind(chain(check_pages(connection), _check_state(connection, folder)))
            connection.execute("ROLLBACK")
            is_compacted = _generation(connection) != generation
        if not (problems and is_compacted):  # else it may be that files were deleted meanwhile
            return problems + check_folder(database, folder)


def _first_of_each_kind(problems: Iterable[Problem]) -> list[Problem]:
    """Return at most some problems of one kind in one file, and how many more there are."""
    seen: Counter[tuple[str, str]] = Counter()
    first = []
    for problem in problems:
        seen[problem.kind, problem.where] += 1
        if seen[problem.kind, problem.where] <= MOST_OF_A_KIND:
            first.append(problem)
    more = ((kind, where, count - MOST_OF_A_KIND) for (kind, where), count in seen.items())
    return first + [error(kind, where, f"and {count:,} more") for kind, where, count in more if count > 0]


def _generation(connection: sqlite3.Connection) -> object:
    try:
        return connection.execute("SELECT generation FROM state").fetchone()
    except sqlite3.DatabaseError:  # the check reports it
        return None


def _check_state(connection: sqlite3.Connection, folder: Path) -> Iterator[Problem]:
    """Check what the tables say of each other, and of the array files."""
    state = _readable_state(connection, folder)
    if isinstance(state, Problem):
        yield state
        return
    for check in (check_tables, check_arrays):
        try:
            yield from check(connection, state)
        except sqlite3.DatabaseError as fault:
            yield error("database", FILE_NAME, str(fault))


def _readable_state(connection: sqlite3.Connection, folder: Path) -> State | Problem:
    try:
        return read_state(connection, folder)
    except (sqlite3.DatabaseError, MrlspkError) as fault:
        return error("database", FILE_NAME, fault.what if isinstance(fault, MrlspkError) else str(fault))

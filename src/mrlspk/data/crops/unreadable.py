"""Replace crops of audio that cannot be read, and stop at too much of it."""

from collections.abc import Mapping
from dataclasses import dataclass

from mrlspk.errors import DataError

SHOWN = 20  # files named in a message
REPLACED = "%s; crops of other files replace its crops"  # a warning
FIX = (
    "Copy these files again, or leave them out: `mrlspk data check CORPUS --decode all --write-excludes FILE` lists "
    "all such files for data.exclude. Look at the disk or network if they are fine. data.max_unreadable allows more."
)


@dataclass(frozen=True, slots=True)
class Unreadable:
    """An utterance that cannot be read, and what is wrong with it, in one line."""

    utterance_id: str
    message: str


def one_line(error: DataError) -> str:
    """Return what is wrong, and where."""
    return error.what if error.where is None else f"{error.where}: {error.what}"


def check_unreadable(found: Mapping[str, str], limit: int) -> None:
    """Refuse more files than may be unreadable.

    Args:
        found: What is wrong, by utterance id.
        limit: As configured.

    Raises:
        DataError: If there are more; it lists them.
    """
    if len(found) <= limit:
        return
    listed = "".join(f"\n  {message}" for message in list(found.values())[:SHOWN])
    more = "\n  …" if len(found) > SHOWN else ""
    what = f"{len(found)} files cannot be read, expected at most {limit}:{listed}{more}"
    raise DataError(what, "data.max_unreadable", FIX)

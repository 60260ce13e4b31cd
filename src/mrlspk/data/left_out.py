"""Count and name the audio of a folder that is not used, by the reason."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from mrlspk.data.problems import Problem, warning
from mrlspk.data.utterance_ids import printable

NAMED = 2  # files named in a message; reports list all of them

type Reason = Literal["format", "layout", "special", "dead_link", "loop", "many_links"]

_TEXTS: dict[Reason, tuple[str, str]] = {
    "format": ("file", "format not supported"),
    "layout": ("file", "in no speaker's folder"),
    "special": ("file", "pipe, device or socket"),
    "dead_link": ("link", "leads nowhere"),
    "loop": ("link", "leads back to a folder that it is in"),
    "many_links": ("link", "leads to a folder that many others lead to"),
}


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Something in a folder that is not used.

    Attributes:
        path: Relative to the folder, with forward slashes.
        reason: A word for programs.
    """

    path: str
    reason: Reason

    def within(self, folder: Path) -> "LeftOut":
        """Return it with the path of its folder."""
        return replace(self, path=str(folder / self.path))

    def entry(self) -> dict[str, str]:
        """Return it as a JSON document has it."""
        return {"path": printable(self.path), "reason": self.reason}


def left_out_problems(left_out: Sequence[LeftOut]) -> Iterator[Problem]:
    """Yield a warning for each reason; its kind is the reason, its place the first path."""
    paths_by_reason: dict[Reason, list[str]] = {}
    for each in left_out:
        paths_by_reason.setdefault(each.reason, []).append(each.path)
    for reason, paths in paths_by_reason.items():
        noun, why = _TEXTS[reason]
        yield warning(reason, printable(paths[0]), "left out " + named(noun, paths, f" ({why})"))


def named(noun: str, names: Sequence[str], remark: str = "") -> str:
    """Return the number of things and the names of the first, such as ``3 files: a.raw, b.raw and 1 more``."""
    plural = noun if len(names) == 1 else f"{noun}s"
    more = f" and {len(names) - NAMED:,} more" if len(names) > NAMED else ""
    return f"{len(names):,} {plural}{remark}: {', '.join(map(printable, names[:NAMED]))}{more}"

"""The keys of redimnet-mrl and their places here; the data is in ``migration.yaml``."""

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

TOP = "top level"


@dataclass(frozen=True)
class OldKey:
    """A dotted key of redimnet-mrl; ``new`` is its key here, None where there is none.

    Attributes:
        remark: What changed, or why the key went; it may be empty for a key that means what it meant.
    """

    old: str
    new: str | None
    remark: str

    @property
    def section(self) -> str:
        """The section that it stands in."""
        return self.old.split(".")[0] if "." in self.old else TOP


@cache
def old_keys() -> Mapping[str, OldKey]:
    """Return every key of redimnet-mrl by its dotted name, in the order of its file."""
    text = files("mrlspk.config").joinpath("migration.yaml").read_text(encoding="utf-8")
    rows = (
        OldKey(key if section == TOP else f"{section}.{key}", **entry)
        for section, entries in yaml.safe_load(text).items()
        for key, entry in entries.items()
    )
    return {row.old: row for row in rows}


def flatten(content: Mapping[Any, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the dotted keys of a file and their values; what a key holds stays whole.

    A section that holds nothing gives nothing; one that holds a value in place of keys is given as a key.
    """
    sections = {row.section for row in old_keys().values()} - {TOP}
    for name, value in content.items():
        if name in sections and value is None:
            continue
        if isinstance(value, Mapping) and name not in old_keys():
            yield from ((f"{name}.{key}", inner) for key, inner in value.items())
        else:
            yield str(name), value


def nearest_old_key(key: str) -> str | None:
    """Return the key of redimnet-mrl most like an unknown one; None where none is."""
    return next(iter(difflib.get_close_matches(key, old_keys(), 1, 0.7)), None)


def render_tables() -> str:
    """Return the tables of docs/migration.md, one under the name of each section."""
    pieces: list[str] = []
    section = ""
    for row in old_keys().values():
        if row.section != section:
            section = row.section
            heading = "Top level" if section == TOP else f"`{section}`"
            pieces.append(f"\n### {heading}\n\n| old key | new key | remark |\n|---|---|---|\n")
        cells = f"`{row.old}`", f"`{row.new}`" if row.new else "none", row.remark
        pieces.append("| " + " | ".join(cell for cell in cells).rstrip() + " |\n")
    return "".join(pieces)

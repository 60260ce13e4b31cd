"""Read the table of redimnet-mrl's configuration keys."""

from collections.abc import Hashable, Iterator, Mapping, Set
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from mrlspk.config.base import StrictModel


class OldKey(StrictModel):
    """A dotted key of redimnet-mrl; migration.yaml explains the columns."""

    old: str
    new: str | None
    remark: str = ""
    values: dict[Any, Any] | None = None
    replace: dict[Any, Any] = {}
    scale: float | None = None
    when: dict[str, list[Any]] = {}
    adds: dict[Any, dict[str, Any]] = {}
    default: Any = None
    check: str | None = None
    fine: list[Any] = []

    def applies(self, old: Mapping[str, Any]) -> bool:
        """Whether the other values of the file give the key a meaning."""
        return all(old.get(key) in values for key, values in self.when.items())

    def translate(self, value: Any) -> Any:
        """Return the new value of an old one.

        Raises:
            ValueError: If the old value cannot be translated.
        """
        known = isinstance(value, Hashable)
        if self.values is not None:
            if not known or value not in self.values:
                raise ValueError(f"expected {' or '.join(str(each).lower() for each in self.values)}")
            return self.values[value]
        if self.scale is None:
            return self.replace.get(value, value) if known else value
        if not isinstance(value, list) or not all(isinstance(number, int | float) for number in value):
            raise ValueError("expected a list of numbers")
        try:
            return [self.scale * number for number in value]
        except OverflowError as error:
            raise ValueError("expected smaller numbers") from error

    def additions(self, value: Any) -> dict[str, Any]:
        """Return the new keys that go with an old value."""
        return self.adds.get(value, {}) if isinstance(value, Hashable) else {}


@cache
def old_keys() -> Mapping[str, OldKey]:
    """Return every key of redimnet-mrl by its dotted name, in the order of its file."""
    text = files("mrlspk.config").joinpath("migration.yaml").read_text(encoding="utf-8")
    return {old: OldKey(old=old, **columns) for old, columns in yaml.safe_load(text).items()}


def old_sections() -> Set[str]:
    """Return the sections of redimnet-mrl's file."""
    return {key.partition(".")[0] for key in old_keys() if "." in key}


def flatten(content: Mapping[Any, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the dotted keys of a file and their values; a mapping that is a value stays whole.

    An empty section yields nothing; a section with a value in place of keys is yielded as a key.
    """
    for name, value in content.items():
        if isinstance(value, Mapping):
            yield from ((f"{name}.{key}", inner) for key, inner in value.items())
        elif value is not None or name not in old_sections():
            yield str(name), value

"""Migrate a configuration of redimnet-mrl by the table of its keys, and render it as YAML."""

import difflib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import yaml

from mrlspk.config.key_hints import did_you_mean
from mrlspk.config.keys import known_keys
from mrlspk.config.migration_table import OldKey, flatten, old_keys, old_sections
from mrlspk.config.root import Config
from mrlspk.config.sources import build_config
from mrlspk.errors import ConfigError


@dataclass(frozen=True)
class MappedKey:
    """An old key, its new key and value, and what changed."""

    old: str
    new: str
    value: Any
    remark: str


@dataclass(frozen=True)
class DroppedKey:
    """An old key without a new one, and the reason."""

    old: str
    reason: str


@dataclass(frozen=True)
class AddedKey:
    """A new key without an old one: a default of the old program, or a key that goes with an old value."""

    new: str
    value: Any
    reason: str


type Outcome = MappedKey | DroppedKey | AddedKey


@dataclass(frozen=True)
class Migration:
    """The result of migrating a file of redimnet-mrl.

    Attributes:
        config: The whole new configuration.
        keys: What differs from the defaults, by dotted key.
        mapped: Old keys with a new one, in the order of the file.
        dropped: Old keys without a new one, in the order of the file.
        added: New keys without an old one.
        warnings: What the user should check before training.
    """

    config: Config
    keys: dict[str, Any]
    mapped: tuple[MappedKey, ...]
    dropped: tuple[DroppedKey, ...]
    added: tuple[AddedKey, ...]
    warnings: tuple[str, ...]


def migrate(content: Mapping[Any, Any], origin: str) -> Migration:
    """Return the configuration equivalent to a file of redimnet-mrl, and what became of each key.

    Args:
        content: The file, parsed.
        origin: Name of the file, for messages.

    Raises:
        ConfigError: If a key is not one of redimnet-mrl, or a value is not allowed; all are named.
    """
    stated, table = dict(flatten(content)), old_keys()
    _check_keys(stated, origin)
    absent = _absent_defaults(stated)
    old = stated | absent
    outcomes, faults = list[Outcome](), list[str]()
    for key in old:
        try:
            outcomes += _outcomes(table[key], old, is_absent=key in absent)
        except ValueError as error:
            faults.append(f"{key}: {error}")
    if faults:
        raise ConfigError("\n".join(faults), origin)
    return _collect(outcomes, tuple(_checks(stated)), origin)


def _collect(outcomes: Sequence[Outcome], warnings: tuple[str, ...], origin: str) -> Migration:
    """Return the migration with the configuration that the outcomes make.

    Raises:
        ConfigError: If a value is not allowed.
    """
    mapped = [outcome for outcome in outcomes if isinstance(outcome, MappedKey)]
    added = [outcome for outcome in outcomes if isinstance(outcome, AddedKey)]
    settings = [(key.new, key.value, f"added: {key.reason}") for key in added]
    settings += [(key.new, key.value, f"from {key.old} in {origin}") for key in mapped]
    config = build_config((tuple(new.split(".")), value, source) for new, value, source in settings)
    values, defaults, written = _values(config), _values(Config()), {new for new, _, _ in settings}
    return Migration(
        config,
        {key: value for key, value in values.items() if key in written and value != defaults[key]},
        tuple(replace(key, value=values[key.new]) for key in mapped),
        tuple(outcome for outcome in outcomes if isinstance(outcome, DroppedKey)),
        tuple(added),
        warnings,
    )


def _check_keys(stated: Mapping[str, Any], origin: str) -> None:
    """Refuse keys that redimnet-mrl did not know, and sections without keys."""
    table, own = old_keys(), set(known_keys())
    lines = []
    for key in (key for key in stated if key not in table):
        nearest = next(iter(difflib.get_close_matches(key, table, 1, 0.7)), None)
        if key in old_sections():
            lines.append(f"{key}: expected keys, got a value")
        elif key in own:
            lines.append(f"{key}: a key of mrlspk, not of redimnet-mrl")
        else:
            lines.append(f"{key}: not a key of redimnet-mrl{did_you_mean(nearest)}")
    if lines:
        fix = "Fix or remove these keys; docs/migration.md lists the known ones."
        raise ConfigError("\n".join(lines), origin, fix)


def _is_whole(stated: Mapping[str, Any]) -> bool:
    """Whether the file is complete: redimnet-mrl did not run without section ``advanced``."""
    return any(key.startswith("advanced.") for key in stated)


def _absent_defaults(stated: Mapping[str, Any]) -> dict[str, Any]:
    """Return the old program's defaults that differ from ours, of the keys that a complete file leaves out."""
    defaults = {key: row.default for key, row in old_keys().items() if row.default is not None and key not in stated}
    return defaults if _is_whole(stated) else {}


def _outcomes(row: OldKey, old: Mapping[str, Any], *, is_absent: bool) -> Iterator[Outcome]:
    """Yield what becomes of a key, and the new keys that go with its value."""
    value = row.translate(old[row.old])
    source = f"redimnet-mrl's default without {row.old}" if is_absent else f"goes with {row.old}"
    yield from (AddedKey(new, extra, source) for new, extra in row.additions(old[row.old]).items())
    if row.new is not None and row.applies(old):
        yield AddedKey(row.new, value, source) if is_absent else MappedKey(row.old, row.new, value, row.remark)
    elif not is_absent:
        yield DroppedKey(row.old, row.remark)


def _checks(stated: Mapping[str, Any]) -> Iterator[str]:
    """Yield a sentence for each key that the user should check."""
    if not _is_whole(stated):
        yield "the file has no section advanced: mrlspk's defaults apply to its missing keys"
    for key, value in stated.items():
        row = old_keys()[key]
        if row.check is not None and value not in row.fine and row.applies(stated):
            yield f"{key}: {row.check}"


def _values(config: Config) -> dict[str, Any]:
    """Return the value of every dotted key, as JSON has it; None inside a section that is null."""
    values: dict[str, Any] = {"": config.model_dump(mode="json")}
    for key in known_keys():  # a section comes before its keys
        section, _, name = key.rpartition(".")
        values[key] = (values[section] or {}).get(name)
    return values


HEADING = """\
# Migrated from {origin} of redimnet-mrl by mrlspk config migrate: the keys that differ from mrlspk's defaults.
# The comment beside each is its old key, or the reason why it was added.
"""


def render_file(migration: Migration, origin: str) -> str:
    """Return the text of the new file; ``origin`` is the name of the old one."""
    notes = {key.new: key.reason for key in migration.added} | {key.new: key.old for key in migration.mapped}
    lines = ["# Check before training:"] * bool(migration.warnings)
    lines += [f"# - {warning}" for warning in migration.warnings]
    previous: list[str] = []
    for key, value in migration.keys.items():  # in the order of the configuration, so no section comes twice
        *sections, name = key.split(".")
        n_open = len(os.path.commonprefix([previous, sections]))
        lines += [f"{'  ' * depth}{section}:" for depth, section in enumerate(sections) if depth >= n_open]
        lines.append(f"{'  ' * len(sections)}{name}: {_flow(value)}  # {notes[key]}")
        previous = sections
    return HEADING.format(origin=json.dumps(origin)) + "\n".join([*lines, ""])


def _flow(value: Any) -> str:
    """Return a value as YAML on one line."""
    text = yaml.safe_dump([value], default_flow_style=True, allow_unicode=True, width=2**31).strip()[1:-1]
    return json.dumps(value) if "\n" in text else text

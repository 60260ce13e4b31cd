"""A configuration of redimnet-mrl in the keys of this program."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from mrlspk.config.migration_additions import AddedKey, additions
from mrlspk.config.migration_rules import outcome_of
from mrlspk.config.migration_table import flatten, nearest_old_key, old_keys
from mrlspk.config.predecessor_values import PredecessorValues
from mrlspk.config.root import Config
from mrlspk.config.sources import as_config_error, known_keys
from mrlspk.errors import ConfigError


@dataclass(frozen=True)
class MappedKey:
    """An old key, its key here, the value there, and what changed."""

    old: str
    new: str
    value: Any
    remark: str


@dataclass(frozen=True)
class DroppedKey:
    """An old key that has no place here, and why."""

    old: str
    reason: str


@dataclass(frozen=True)
class Migration:
    """What became of a file of redimnet-mrl.

    Attributes:
        config: The whole new configuration.
        mapped: In the order of the file; values as ``config`` has them.
        dropped: In the order of the file.
        added: Beside these.
        warnings: What the user should know before training.
    """

    config: Config
    mapped: tuple[MappedKey, ...]
    dropped: tuple[DroppedKey, ...]
    added: tuple[AddedKey, ...]
    warnings: tuple[str, ...]


def migrate(content: Mapping[Any, Any], origin: str) -> Migration:
    """Return the configuration that a file of redimnet-mrl means, and what became of each of its keys.

    Args:
        content: The file, parsed.
        origin: Where it is from, for messages.

    Raises:
        ConfigError: If a key is not of redimnet-mrl, or a value is not allowed; all are named.
    """
    old = PredecessorValues(dict(flatten(content)))
    _check_keys(old, origin)
    mapped, dropped, warnings = _translate(old, origin)
    added = tuple(additions(old))
    config = _validated(mapped, added, origin)
    return Migration(
        config,
        tuple(MappedKey(key.old, key.new, value_at(config, key.new), key.remark) for key in mapped),
        dropped,
        added,
        warnings if old.is_whole else (_part_warning(old), *warnings),
    )


def value_at(config: Config, key: str) -> Any:
    """Return the value at a dotted key, as YAML and JSON write it."""
    value: Any = config.model_dump(mode="json")
    for name in key.split("."):
        value = value[name] if isinstance(value, dict) else None
    return value


def _check_keys(old: PredecessorValues, origin: str) -> None:
    """Refuse keys that redimnet-mrl did not know, and sections without keys."""
    own = set(known_keys())
    lines, fixes = [], []
    sections = {row.section for row in old_keys().values()}
    for key in (key for key in old.values if key not in old_keys()):
        if key in sections:
            lines.append(f"{key}: expected keys, got {old.get(key)!r}")
        elif key in own:
            lines.append(f"{key}: a key of mrlspk, not of redimnet-mrl")
        else:
            lines.append(f"{key}: not a key of redimnet-mrl")
            nearest = nearest_old_key(key)
            fixes += [f"Did you mean {nearest}?"] if nearest else []
    if lines:
        fixes = [*dict.fromkeys(fixes), "Mend or remove these keys; docs/migration.md has all that are known."]
        raise ConfigError("\n".join(lines), origin, "\n".join(fixes))


def _translate(
    old: PredecessorValues, origin: str
) -> tuple[tuple[MappedKey, ...], tuple[DroppedKey, ...], tuple[str, ...]]:
    mapped: list[MappedKey] = []
    dropped: list[DroppedKey] = []
    warnings: list[str] = []
    faults: list[str] = []
    for key in old.values:
        try:
            outcome = outcome_of(old_keys()[key], old)
        except ValueError as error:
            faults.append(f"{key}: {error}")
            continue
        if outcome.new is None:
            dropped.append(DroppedKey(key, outcome.remark))
        else:
            mapped.append(MappedKey(key, outcome.new, outcome.value, outcome.remark))
        warnings += [outcome.warning] if outcome.warning else []
    if faults:
        raise ConfigError("\n".join(faults), origin)
    return tuple(mapped), tuple(dropped), tuple(warnings)


def _part_warning(old: PredecessorValues) -> str:
    absent = [key for key, row in old_keys().items() if row.new is not None and key not in old.values]
    return f"the file has no section advanced: mrlspk's defaults hold for the {len(absent)} keys that it does not have"


def _validated(mapped: tuple[MappedKey, ...], added: tuple[AddedKey, ...], origin: str) -> Config:
    values: dict[str, Any] = {}
    origins: dict[tuple[str, ...], str] = {}
    placed = [(key.new, key.value, f"added: {key.reason}") for key in added]
    placed += [(key.new, key.value, f"from {key.old} in {origin}") for key in mapped]
    for new, value, source in placed:
        *sections, name = new.split(".")
        node = values
        for section in sections:
            node = node.setdefault(section, {})
        node[name] = value
        origins[(*sections, name)] = source
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        raise as_config_error(error, origins) from error

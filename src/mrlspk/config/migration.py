"""Migrate a configuration of redimnet-mrl to the keys of mrlspk, and render it as YAML."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml
from pydantic import ValidationError

from mrlspk.config.architecture import PublishedReDimNetConfig
from mrlspk.config.migration_rules import outcome_of
from mrlspk.config.model import HeadConfig
from mrlspk.config.redimnet_mrl import PredecessorValues, flatten, nearest_old_key, old_keys
from mrlspk.config.root import Config
from mrlspk.config.sources import as_config_error, did_you_mean, known_keys
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
    """A new key without an old one: a default of the old program, or a setting that other keys require."""

    new: str
    value: Any
    reason: str


@dataclass(frozen=True)
class Migration:
    """The result of migrating a file of redimnet-mrl.

    Attributes:
        config: The whole new configuration.
        mapped: Old keys with a new one, in the order of the file; values as in ``config``.
        dropped: Old keys without a new one, in the order of the file.
        added: New keys without an old one.
        warnings: What the user should know before training.
    """

    config: Config
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
    lines = []
    sections = {row.section for row in old_keys().values()}
    for key in (key for key in old.values if key not in old_keys()):
        if key in sections:
            lines.append(f"{key}: expected keys, got {old.get(key)!r}")
        elif key in own:
            lines.append(f"{key}: a key of mrlspk, not of redimnet-mrl")
        else:
            lines.append(f"{key}: not a key of redimnet-mrl{did_you_mean(nearest_old_key(key))}")
    if lines:
        fix = "Fix or remove these keys; docs/migration.md lists the known ones."
        raise ConfigError("\n".join(lines), origin, fix)


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
    return f"the file has no section advanced: mrlspk's defaults apply to its {len(absent)} missing keys"


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


def additions(old: PredecessorValues) -> Iterator[AddedKey]:
    """Yield defaults of the old program that differ from ours, and settings that its choices require here."""
    if old.is_whole:
        yield from _absent(old)
    if old.from_scratch:
        stages = PublishedReDimNetConfig.model_fields["stages_setup"].default
        yield AddedKey("model.backbone.stages_setup", stages, "the stages of redimnet-mrl's own networks")
    if old.get("training.lr_scheduler") == "step":
        yield AddedKey("training.lr_step_epochs", 30, "redimnet-mrl's step schedule")
        yield AddedKey("training.lr_gamma", 0.1, "redimnet-mrl's step schedule")
    if old.get("training.lr_scheduler") == "exponential":
        yield AddedKey("training.lr_gamma", 0.95, "redimnet-mrl's exponential schedule")
    if old.get("loss.type") == "Triplet":
        yield AddedKey("data.sampler", "speaker_balanced", "Triplet needs two crops of a speaker in a batch")
        yield AddedKey("data.utterances_per_speaker", 2, "Triplet needs two crops of a speaker in a batch")
    rate, decay = old.number("training.learning_rate"), HeadConfig().start_decay
    if old.trains_head_alone and rate is not None and rate * decay >= 1:
        yield AddedKey("head.start_decay", 0.0, f"at this learning rate the default, {decay:g}, would undo each step")


def _absent(old: PredecessorValues) -> Iterator[AddedKey]:
    """Yield the old program's defaults of optional keys."""
    reason = "redimnet-mrl's default without"
    if "advanced.use_pretrained" not in old.values:
        yield AddedKey("model.pretrained.use_pretrained", value=False, reason=f"{reason} advanced.use_pretrained")
    if "advanced.train_type" not in old.values and not old.from_scratch:
        yield AddedKey("model.pretrained.train_type", "ptn", f"{reason} advanced.train_type")
    if "advanced.freeze_backbone_epochs" not in old.values:
        yield AddedKey("training.freeze_backbone_epochs", 0, f"{reason} advanced.freeze_backbone_epochs")
    if "evaluation.use_eer_for_best_model" not in old.values:
        yield AddedKey("evaluation.best_by", "loss", f"{reason} evaluation.use_eer_for_best_model")


HEADING = """\
# Migrated from {origin} of redimnet-mrl by mrlspk config migrate: the keys that differ from mrlspk's defaults.
# The comment beside each is its old key, or the reason why it was added.
"""


def kept_keys(migration: Migration) -> dict[str, Any]:
    """Return the keys that differ from the defaults, with their values, in the order of the configuration."""
    default = Config()
    written = [*(key.new for key in migration.mapped), *(key.new for key in migration.added)]
    values = {key: value_at(migration.config, key) for key in dict.fromkeys(written)}
    differing = {key: value for key, value in values.items() if value != value_at(default, key)}
    order = list(Config.model_fields)
    return dict(sorted(differing.items(), key=lambda entry: order.index(entry[0].split(".")[0])))


def render_file(migration: Migration, origin: str) -> str:
    """Return the text of the new file; ``origin`` is the name of the old one."""
    notes = {key.new: key.reason for key in migration.added}
    for mapped in migration.mapped:
        notes[mapped.new] = f"{notes[mapped.new]}, {mapped.old}" if mapped.new in notes else mapped.old
    tree: dict[str, Any] = {}
    for key, value in kept_keys(migration).items():
        *sections, name = key.split(".")
        node = tree
        for section in sections:
            node = node.setdefault(section, {})
        node[name] = f"{_flow(value)}  # {notes[key]}"
    return HEADING.format(origin=json.dumps(origin)) + "\n".join([*_lines(tree, 0), ""])


def _lines(tree: dict[str, Any], depth: int) -> Iterator[str]:
    """Yield the lines of a section: values before subsections, and a blank line before each top-level section."""
    for name, value in sorted(tree.items(), key=lambda entry: isinstance(entry[1], dict)):
        if isinstance(value, dict):
            yield from () if depth else [""]
            yield f"{'  ' * depth}{name}:"
            yield from _lines(value, depth + 1)
        else:
            yield f"{'  ' * depth}{name}: {value}"


def _flow(value: Any) -> str:
    """Return a value as YAML on one line."""
    text = yaml.safe_dump([value], default_flow_style=True, allow_unicode=True, width=2**31).strip()[1:-1]
    return json.dumps(value) if "\n" in text else text

"""A migrated configuration as a YAML file."""

import json
from collections.abc import Iterator
from typing import Any

import yaml

from mrlspk.config.migration import Migration, value_at
from mrlspk.config.root import Config

HEADING = """\
# {origin} of redimnet-mrl, by mrlspk config migrate: the keys that differ from the defaults of mrlspk.
# Beside each stands the old key that it comes from, or why it is there.
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
    """Yield the lines of a section, its plain keys before the sections in it, a blank line before those at the top."""
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

"""Render docs/configuration.md from the models of the configuration."""

import json
from collections.abc import Iterator
from typing import Any

from pydantic import AliasChoices, BaseModel

from mrlspk.config.base import LARGEST
from mrlspk.config.data import CorpusEntry
from mrlspk.config.evaluation import TrialListConfig
from mrlspk.config.keys import section_of
from mrlspk.config.root import Config
from mrlspk.config.sources import PREFIX, Environment

TITLE = """\
# Configuration

Generated from the models in `src/mrlspk/config` by `scripts/write_reference.py`; a test keeps it true.

Values come from, in rising order:

1. the defaults below;
2. variables named `MRLSPK_SECTION__KEY`, set in the environment or in `.env` (the environment wins);
3. the YAML files given with `--config`, each of which needs only the keys that differ from what comes before;
4. `--set section.key=value`, repeatable, the value written as in YAML;
5. the command's own flags.

A variable is the dotted key in capitals behind `MRLSPK_`, with two underscores for each dot: `training.batch_size` is
`MRLSPK_TRAINING__BATCH_SIZE`. A list is written as in YAML: `MRLSPK_MODEL__MATRYOSHKA_DIMS="[64, 128, 192]"`.
Variables of other programs in `.env`, such as `WANDB_API_KEY`, are left to those programs.

Numbers are finite. Where no upper bound is named, it is 1,000,000,000.

An unknown key is an error that names the nearest known one. The resolved configuration is saved with every run and
inside every checkpoint. `configs/` holds complete commented examples.
"""

PROGRAM = """\
## Settings of the program

Settings that belong to no single run. They are variables only, in the environment or in `.env`.

| variable | type | default | meaning |
|---|---|---|---|
"""


def render_reference() -> str:
    """Return docs/configuration.md: every section, key, type, default and meaning."""
    pieces = [
        TITLE,
        *_sections(Config, ""),
        _section(CorpusEntry, "data.train_dataset[]"),
        _section(TrialListConfig, "evaluation.trials[]"),
        PROGRAM + _program_rows(),
    ]
    return "\n".join(pieces)


def _sections(section: type[BaseModel], prefix: str) -> Iterator[str]:
    """Yield a section, then those inside it, in the order of the models."""
    yield _section(section, prefix)
    for name, field in section.model_fields.items():
        if child := section_of(field.annotation):
            yield from _sections(child, f"{prefix}.{name}" if prefix else name)


def _section(section: type[BaseModel], prefix: str) -> str:
    """Return heading, docstring and table of the keys that the section holds itself."""
    heading = f"## `{prefix}`" if prefix else "## Top level"
    schema = section.model_json_schema(by_alias=False)
    rows = [_row(name, schema["properties"][name], section) for name in section.model_fields]
    table = ["| key | type | default | meaning |", "|---|---|---|---|", *filter(None, rows)]
    summary = (section.__doc__ or "").replace("``", "`")
    return "\n".join([heading, "", summary, "", *table, ""]) if len(table) > 2 else f"{heading}\n\n{summary}\n"


def _row(name: str, schema: dict[str, Any], section: type[BaseModel]) -> str | None:
    """Return the table row of a key; None for a section that is described under its own heading."""
    if "$ref" in schema:
        return None
    alias = section.model_fields[name].validation_alias
    others = [f"`{choice}`" for choice in alias.choices if choice != name] if isinstance(alias, AliasChoices) else []
    meaning = schema["description"] + (f" Another name: {', '.join(others)}." if others else "")
    default = f"`{json.dumps(schema['default'])}`" if "default" in schema else "required"
    return _cells(f"`{name}`", _type_in_words(schema), default, meaning)


def _cells(*cells: str) -> str:
    escaped = (cell.replace("|", "\\|") for cell in cells)
    return f"| {' | '.join(escaped)} |"


def _program_rows() -> str:
    rows = []
    properties = Environment.model_json_schema()["properties"]
    for name, field in Environment.model_fields.items():
        if name == "cache_dir":  # None only without a home folder
            kind, default = "path", "~/.cache/mrlspk"
        else:
            kind, default = _type_in_words(properties[name]), json.dumps(field.default)
        rows.append(_cells(f"`{PREFIX}{name.upper()}`", kind, f"`{default}`", str(field.description)) + "\n")
    return "".join(rows)


def _type_in_words(schema: dict[str, Any]) -> str:
    """Return the values that a JSON schema allows, in words."""
    if choices := schema.get("anyOf") or schema.get("oneOf"):
        return " or ".join(map(_type_in_words, choices))
    if "$ref" in schema:
        return "keys of its own, below"
    if "enum" in schema or "const" in schema:
        return " or ".join(f"`{choice}`" for choice in schema.get("enum", [schema.get("const")]))
    kind = schema["type"]
    if kind == "array":
        return _list_in_words(schema)
    if kind == "object":
        return f"mapping of names to {_type_in_words(schema['additionalProperties'])}"
    words = {"integer": "whole number", "number": "number", "boolean": "`true` or `false`", "null": "`null`"}
    return words.get(kind, "path" if schema.get("format") == "path" else "text") + _bounds_in_words(schema)


def _list_in_words(schema: dict[str, Any]) -> str:
    """Describe the members of a list; a list of lists is left to the description."""
    members = schema.get("prefixItems") or [schema["items"]]
    if any(member.get("type") == "array" for member in members):
        return "list of lists"
    length = f"list of {len(members)}" if "prefixItems" in schema else "list"
    return f"{length}, each: {' or '.join(dict.fromkeys(map(_type_in_words, members)))}"


def _bounds_in_words(schema: dict[str, Any]) -> str:
    bounds = {"exclusiveMinimum": "above", "minimum": "from", "exclusiveMaximum": "below", "maximum": "up to"}
    return "".join(
        f" {word} {_number(schema[bound])}" for bound, word in bounds.items() if schema.get(bound, LARGEST) != LARGEST
    )


def _number(value: float) -> str:
    return f"{int(value):,}" if value >= 10_000 else f"{value:g}"

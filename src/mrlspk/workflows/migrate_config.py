"""Migrate a configuration file of redimnet-mrl."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from mrlspk.config import named_keys
from mrlspk.config.keys import known_keys
from mrlspk.config.migration import Migration, migrate, render_file
from mrlspk.config.root import Config
from mrlspk.errors import ConfigError
from mrlspk.files import check_free, whole_file
from mrlspk.pretrained import is_published
from mrlspk.reading import read_yaml


def migrate_config(old: Path, output: Path, *, force: bool = False) -> Migration:
    """Write ``old`` to ``output`` as a configuration for ``mrlspk train --config``.

    Raises:
        ConfigError: If ``old`` is not YAML, is not a configuration of redimnet-mrl, or has a value that is not allowed.
        MrlspkError: If ``output`` exists and ``force`` is false, or if it cannot be written.
    """
    check_free(output, force=force)
    migration = migrate(_read(old), str(old))
    migration = replace(migration, warnings=(*migration.warnings, *_unpublished(migration.config)))
    with whole_file(output, force=force) as partial:
        partial.write_text(render_file(migration, old.name), encoding="utf-8")
    return migration


def _read(path: Path) -> dict[Any, Any]:
    """Return the content of a file of redimnet-mrl.

    Raises:
        ConfigError: If it is not YAML, is empty, or needs no migration.
    """
    named = named_keys(path)
    content = read_yaml(path, ConfigError)
    if not content:
        raise ConfigError("has no keys", path, "Give the config.yaml of redimnet-mrl.")
    if named <= set(known_keys()):
        raise ConfigError("is a configuration of mrlspk already", path, "Use it as it is with `mrlspk train --config`.")
    return dict(content)


def _unpublished(config: Config) -> list[str]:
    """Return a warning if the configuration names a model that is not published."""
    pretrained = config.model.pretrained
    if not pretrained.use_pretrained or pretrained.pretrained_checkpoint or is_published(pretrained.published_name):
        return []
    return [f"{pretrained.published_name} is not among the published models: see mrlspk pretrained list"]

"""``mrlspk config migrate``: rewrite a redimnet-mrl configuration for mrlspk."""

import json
import logging
import os
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import RenderableType

from mrlspk.cli import output
from mrlspk.cli.commands import Commands
from mrlspk.cli.options import AsJson, Debug, Force, Quiet
from mrlspk.cli.panels import Panel, option

log = logging.getLogger("mrlspk.config")

if TYPE_CHECKING:
    from mrlspk.config.migration import Migration


def migrate_command(
    old: Annotated[Path, typer.Argument(metavar="OLD", help="config.yaml of redimnet-mrl.")],
    *,
    out: Annotated[
        Path,
        option(Panel.OUTPUT, "-o", "--output", metavar="<file>", help="YAML file to write, for mrlspk train --config."),
    ],
    force: Force = False,
    as_json: AsJson = False,
    quiet: Quiet = False,  # noqa: ARG001 - there is no progress to leave out
    debug: Debug = False,  # noqa: ARG001 - its callback does the work
) -> None:
    """Rewrite a configuration of redimnet-mrl for mrlspk.

    Each old key is reported with its new key, or with the reason why it was dropped.

    Example:
        mrlspk config migrate config.yaml -o new.yaml
    """
    from mrlspk.config.sources import check_environment
    from mrlspk.workflows.migrate_config import migrate_config

    check_environment(os.environ)
    migrated = migrate_config(old, out, force=force)
    for warning in migrated.warnings:
        log.warning("%s", warning)
    output.show("config migrate", _payload(migrated, out), _human(migrated, out), as_json=as_json)


def _payload(migrated: "Migration", written: Path) -> dict[str, object]:
    outcomes = {name: [asdict(key) for key in getattr(migrated, name)] for name in ("mapped", "dropped", "added")}
    return {"written": str(written), "keys": migrated.keys, **outcomes}


def _human(migrated: "Migration", written: Path) -> Iterator[RenderableType]:
    mapped = [(key.old, key.new, _shown(key.value), _told(key.remark)) for key in migrated.mapped]
    yield output.table("Kept", ("old key", "new key", "value", "remark"), mapped)
    yield ""
    yield output.table("Dropped", ("old key", "reason"), [(key.old, _told(key.reason)) for key in migrated.dropped])
    yield ""
    if migrated.added:
        added = [(key.new, _shown(key.value), _told(key.reason)) for key in migrated.added]
        yield output.table("Added", ("new key", "value", "reason"), added)
        yield ""
    yield f"{len(migrated.mapped)} keys kept, {len(migrated.dropped)} dropped, {len(migrated.added)} added"
    yield f"{len(migrated.keys)} differ from the defaults and were written to {written}"


def _shown(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _told(remark: str) -> str:
    """Return a remark without Markdown."""
    return remark.replace("`", "")


config_app = Commands(help="Migrate configuration files of redimnet-mrl.")
config_app.command("migrate")(migrate_command)

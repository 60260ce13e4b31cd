"""``mrlspk doctor``: check an installation, and show how to fix what is missing."""

import os
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import RenderableType

from mrlspk.cli import output
from mrlspk.cli.flag_names import with_flags
from mrlspk.cli.help_page import Row, aligned
from mrlspk.cli.options import AsJson, Debug, Quiet
from mrlspk.cli.panels import Panel, option
from mrlspk.errors import MissingDependencyError

if TYPE_CHECKING:
    from mrlspk.workflows.doctor import Check, DoctorReport


def doctor_command(
    *,
    offline: Annotated[
        bool, option(Panel.DOWNLOAD, "--offline", help="Make no connection: leave out network and mirror.")
    ] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,  # noqa: ARG001 - the command shows no progress
    debug: Debug = False,  # noqa: ARG001 - its callback does the work
) -> None:
    """Check this installation; show how to fix what is missing.

    It writes and reads a second of sound in each audio format, and looks at packages, GPU, backends, cache folder
    and network. Exit code 4 if something that everybody needs is missing.

    Example:
        mrlspk doctor
    """
    from mrlspk.workflows.doctor import examine

    report = examine(os.environ, offline=offline)
    checks = [asdict(check) | {"fix": check.fix and with_flags(check.fix)} for check in report.checks]
    payload = {"checks": checks, "ok": report.ok}
    output.show("doctor", payload, _human(report), as_json=as_json)
    if not report.ok:
        raise typer.Exit(MissingDependencyError.exit_code)


def _human(report: "DoctorReport") -> Iterator[RenderableType]:
    from mrlspk.workflows.decoder_checks import DECODES
    from mrlspk.workflows.doctor import AUDIO

    fine = [check for check in report.checks if check.name.startswith(AUDIO) and check.detail == DECODES]
    formats = ", ".join(check.name.removeprefix(AUDIO) for check in fine)
    rows = [
        Row("audio", f"ok: {formats}") if check in fine else Row(check.name, f"{_verdict(check)}: {check.detail}")
        for check in report.checks
        if check not in fine[1:]
    ]
    yield "\n".join(aligned(rows))
    for needed, heading in ((True, "To fix:"), (False, "Optional:")):
        fixes = [
            (check.name, with_flags(check.fix or ""))
            for check in report.checks
            if not check.ok and check.needed is needed
        ]
        if fixes:
            yield f"\n{heading}"
            yield output.facts((f"  {name}", fix) for name, fix in fixes)
    yield "\nEverything that all commands need is there." if report.ok else "\nSomething that commands need is missing."


def _verdict(check: "Check") -> str:
    if check.ok:
        return "ok"
    return "MISSING" if check.needed else "optional"

"""``mrlspk report``: write the page of a training run."""

from pathlib import Path
from typing import Annotated

import typer

from mrlspk.cli import output
from mrlspk.cli.options import AsJson, Debug, Force, Quiet
from mrlspk.cli.panels import Panel, option


def report_command(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a training run.")],
    *,
    folder: Annotated[
        Path | None,
        option(Panel.OUTPUT, "-o", "--output", metavar="<folder>", help="Folder of the page. Default: RUN/report."),
    ] = None,
    force: Force = False,
    as_json: AsJson = False,
    quiet: Quiet = False,  # noqa: ARG001 - there is no progress to show
    debug: Debug = False,  # noqa: ARG001 - its callback does the work
) -> None:
    """Write one page of a training run.

    It shows losses and EER by epoch and width, the verdict, the model card and the data.

    Example:
        mrlspk report checkpoints/first -o page
    """
    from mrlspk.workflows.report_run import report_run

    page = report_run(run, folder or run / "report", force=force)
    output.show("report", {"path": str(page)}, [f"report: {page}"], as_json=as_json)

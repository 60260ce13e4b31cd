"""Write the report of a training run: one page of curves, verdict, card and data."""

from collections.abc import Sequence
from pathlib import Path

from mrlspk import __version__
from mrlspk.evaluation.report import PAGE, check_report, write_report
from mrlspk.json_schema import SCHEMA_VERSION
from mrlspk.workflows.run_document import run_values
from mrlspk.workflows.run_record import read_run


def report_run(run_dir: Path, folder: Path, *, force: bool = False, warnings: Sequence[str] = ()) -> Path:
    """Write the report of a run into a folder, and return the path of its page.

    Args:
        run_dir: Folder of the run, which may have ended, be training or have been stopped.
        folder: Of the report.
        force: Replace an earlier report.
        warnings: Of the run, to show beside those that its files tell of.

    Raises:
        MissingDependencyError: If a package for drawing is not installed.
        DataError: If ``run_dir`` is not the folder of a run, or a file of it cannot be read.
        CheckpointError: If its best checkpoint is damaged.
        MrlspkError: If the report exists and ``force`` is false, or it cannot be written.
    """
    record = read_run(run_dir)
    check_report(folder, force=force)
    values = run_values(record, warnings=warnings)
    head = {"schema_version": SCHEMA_VERSION, "command": "report", "mrlspk_version": __version__}
    write_report(head | values, folder, force=force)
    return folder / PAGE

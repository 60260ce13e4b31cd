"""``mrlspk index tune``: choose the shortlist of searches by measurements on the voices enrolled."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from rich.console import RenderableType

from mrlspk.cli import output
from mrlspk.cli.index.opening import open_index
from mrlspk.cli.index.options import IndexFolder
from mrlspk.cli.index.voice_text import shortlist_text
from mrlspk.cli.options import AsJson, Debug, Quiet
from mrlspk.cli.panels import Panel, option
from mrlspk.cli.trial_options import check_rate

if TYPE_CHECKING:
    from mrlspk.index.funnel.tuning import MeasuredShortlist, TuneReport
    from mrlspk.index.shortlist import ShortlistSpec


def tune_command(
    folder: IndexFolder,
    *,
    recall: Annotated[
        float,
        option(
            Panel.FITTING,
            "--recall",
            callback=check_rate,
            metavar="<share>",
            help="Share of searches whose best voice is that of an exact search.",
        ),
    ] = 0.999,
    dry_run: Annotated[bool, option(Panel.FITTING, "--dry-run", help="Measure, and change nothing.")] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,  # noqa: ARG001 - its callback does the work
) -> None:
    """Choose the fastest shortlist that reaches a recall.

    It searches for a thousand recordings of the voices enrolled, or for noisy copies of voices if too few voices have
    several recordings. Decisions do not change: they are made at the full width.

    Example:
        mrlspk index tune voices/ --recall 0.999
    """
    with open_index(folder, quiet=quiet) as index:
        before = index.settings.shortlist
        report = index.tune(recall=recall, apply=not dry_run)
        after = index.settings.shortlist
    payload = {
        "recall": recall,
        "shortlist": _spec_entry(after),
        "before": _spec_entry(before),
        "best": report.best and _spec_entry(report.best),
        "exact_milliseconds": report.exact_milliseconds,
        "probes": {
            "source": report.probes.source,
            "count": len(report.probes.queries),
            "cosine": report.probes.cosine,
        },
        "measured": [
            {
                **_spec_entry(each.spec),
                "recall": each.recall,
                "milliseconds": each.milliseconds,
                "bytes": each.bytes_per_slot,
            }
            for each in report.measured
        ],
    }
    output.show("index tune", payload, _human(report, before, after, folder), as_json=as_json)


def _spec_entry(spec: "ShortlistSpec") -> dict[str, Any]:
    return {"type": spec.type, "dim": spec.dim, "candidates": spec.candidates}


def _human(
    report: "TuneReport", before: "ShortlistSpec", after: "ShortlistSpec", folder: Path
) -> Iterator[RenderableType]:
    yield f"searched for {len(report.probes.queries):,} {_described(report)}"
    rows = [*map(_row, report.measured)]
    if report.exact_milliseconds is not None:
        rows.append(("exact, no shortlist", "", "", "1.0000", f"{report.exact_milliseconds:.2f}"))
    yield output.table(None, ("codes", "bytes", "candidates", "recall", "ms"), rows)
    yield ""
    if report.best is None:
        yield f"no shortlist with a recall of {report.recall:g} is faster than comparing every voice: nothing changed"
    elif report.best == before:
        yield f"the index has the fastest already: {_named(before)}"
    elif after == before:
        yield f"the fastest would be {_named(report.best)}; nothing changed"
    else:
        yield f"{folder} now has {_named(after)}; before, {_named(before)}"


def _described(report: "TuneReport") -> str:
    if report.probes.source == "recordings":
        return "recordings of the voices, each without itself in its voice"
    return f"noisy copies of voices, with a cosine of {report.probes.cosine:g} to their voice"


def _row(measured: "MeasuredShortlist") -> tuple[object, ...]:
    spec, slow = measured.spec, measured.milliseconds is None
    return (
        shortlist_text(spec),
        measured.bytes_per_slot,
        "too many" if slow else f"{spec.candidates:,}",
        "" if slow else f"{measured.recall:.4f}",
        "" if measured.milliseconds is None else f"{measured.milliseconds:.2f}",
    )


def _named(spec: "ShortlistSpec") -> str:
    return f"{shortlist_text(spec)} and {spec.candidates:,} candidates"

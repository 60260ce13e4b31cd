"""What ``mrlspk eval`` shows on a terminal."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from rich.console import RenderableType

from mrlspk.cli import output
from mrlspk.cli.baseline_tables import baseline_table
from mrlspk.cli.trial_options import heading, percent, percent_interval

if TYPE_CHECKING:
    from mrlspk.evaluation.breakdown import ColumnBreakdown
    from mrlspk.evaluation.list_report import ListReport
    from mrlspk.evaluation.model_report import EvaluationReport
    from mrlspk.evaluation.target import TargetWidth
    from mrlspk.metrics.width_metrics import WidthMetrics


def evaluation_tables(report: "EvaluationReport") -> Iterator[RenderableType]:
    """Yield list by list a heading, a table by width and what else was asked for."""
    if notes := list(_notes(report)):
        yield "\n".join(notes)
        yield ""
    for index, trials in enumerate(report.trials):
        if index:
            yield ""
        yield from _list_tables(trials)
    for found in report.target_widths:
        yield ""
        yield _target_line(found, report.target_eer)


def _notes(report: "EvaluationReport") -> Iterator[str]:
    if report.norm is not None:
        taken = "S-Norm" if report.norm.top_n is None else f"AS-Norm, top {report.norm.top_n}"
        yield f"{taken} by {report.norm.cohort.path}: thresholds are normalised scores, not cosines"
    if report.calibration is not None:
        yield f"calibrated by {report.calibration.path}"


def _list_tables(trials: "ListReport") -> Iterator[RenderableType]:
    yield heading(trials)
    yield _width_table(trials.results)
    if trials.intervals.note:
        yield f"no intervals: {trials.intervals.note}"
    else:
        told = ", as far as target trials tell them" if trials.intervals.speakers_from == "target trials" else ""
        yield f"95 % intervals over {trials.intervals.n_speakers} speakers{told}, {trials.intervals.n_resamples} draws"
    if trials.baselines:
        yield ""
        yield baseline_table(trials)
    if trials.durations:
        yield ""
        yield _duration_table(trials)
    for column in trials.breakdown:
        yield ""
        yield _column_table(column, [each.dim for each in trials.results])


def _width_table(results: "Iterable[WidthMetrics]") -> RenderableType:
    results = list(results)
    first = results[0]
    calibrated = first.cllr is not None
    with_intervals = first.eer_ci is not None
    columns = ["width", "EER %", *(["95 %"] if with_intervals else [])]
    for each in first.dcf:
        columns += [f"minDCF({each.p_target:g})", *([f"actDCF({each.p_target:g})"] if calibrated else [])]
    columns += ["minCllr", *(["Cllr"] if calibrated else []), "threshold"]
    return output.table(None, columns, (_width_row(each) for each in results))


def _width_row(result: "WidthMetrics") -> Iterator[object]:
    yield result.dim
    yield percent(result.eer)
    if result.eer_ci is not None:
        yield percent_interval(result.eer_ci)
    for each in result.dcf:
        yield f"{each.min_dcf:.4f}"
        if each.act_dcf is not None:
            yield f"{each.act_dcf:.4f}"
    yield f"{result.min_cllr:.4f}"
    if result.cllr is not None:
        yield f"{result.cllr:.4f}"
    yield f"{result.threshold:.4f}"


def _duration_table(trials: "ListReport") -> RenderableType:
    dims = [each.dim for each in trials.results]
    columns = ["EER %", *map(str, dims), "trials", "left out"]
    rows = [
        (
            "whole" if each.seconds is None else f"{each.seconds:g} s",
            *_eer_cells(each.results, dims),
            each.n_target + each.n_nontarget,
            each.n_left_out,
        )
        for each in trials.durations
    ]
    return output.table("by length of the test side", columns, rows)


def _column_table(column: "ColumnBreakdown", dims: Sequence[int]) -> RenderableType:
    columns = ["EER %", *map(str, dims), "target", "non-target"]
    rows = [
        (group.value, *_eer_cells(group.results, dims), group.n_target, group.n_nontarget) for group in column.groups
    ]
    return output.table(f"by {column.column}", columns, rows)


def _eer_cells(results: "Iterable[WidthMetrics]", dims: Sequence[int]) -> list[str]:
    eers = {each.dim: each.eer for each in results}
    return [percent(eers.get(dim)) for dim in dims]


def _target_line(found: "TargetWidth", target: float | None) -> str:
    goal = f"EER of at most {percent(target)} % on {found.path}"
    if found.dim is not None:
        return f"{goal}: {found.dim} is the smallest width whose interval lies whole below it"
    estimate = f"; by its figure alone {found.dim_by_estimate} does" if found.dim_by_estimate else ""
    return f"{goal}: {found.reason}{estimate}"

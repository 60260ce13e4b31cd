"""Print tables of open-set identification as Markdown."""

from collections.abc import Sequence

from mrlspk.index.decisions.open_set import OpenSetReport
from mrlspk.metrics.significance import Interval

type Table = tuple[str, list[str], list[list[object]]]


def identification_rows(report: OpenSetReport) -> Table:
    """Return identification rates by width."""
    heads = ["width", "best voice %", *(f"at {100 * each.false_alarm_rate:g} %" for each in report.widths[0].rates)]
    rows: list[list[object]] = [
        [
            width.dim,
            _percent(width.rank_1, width.rank_1_ci),
            *(_percent(each.identification_rate, each.identification_rate_ci) for each in width.rates),
        ]
        for width in report.widths
    ]
    return "Identification rate (TPIR) at false alarm rates (FPIR)", heads, rows


def decision_rows(report: OpenSetReport) -> Table:
    """Return told and measured rates of decisions, by width, and at the full width by seconds of speech."""
    heads = ["width", "speech", "told %", "measured %", "accepted %", "another %", "ambiguous %", "unknown %"]
    rows: list[list[object]] = []
    for width in report.widths:
        for found in width.decisions if width is report.widths[-1] else width.decisions[:1]:
            low, high = found.seconds or (None, None)
            speech = "all" if low is None else f"over {low:g} s" if high is None else f"{low:g} to {high:g} s"
            rows.append(
                [
                    width.dim,
                    speech,
                    f"{100 * found.false_accept_rate:g}",
                    _percent(found.measured_false_accept_rate, found.measured_false_accept_rate_ci),
                    _percent(found.accepted, found.accepted_ci),
                    *(_percent(each) for each in (found.misidentified, found.ambiguous, found.unknown)),
                ]
            )
    return "Decisions", heads, rows


def print_table(title: str, heads: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a Markdown table under a title."""
    print(f"\n{title}:\n")
    print(f"| {' | '.join(heads)} |")
    print(f"|{'---|' * len(heads)}")
    for row in rows:
        print(f"| {' | '.join(map(str, row))} |")


def _percent(rate: float | None, interval: Interval | None = None) -> str:
    if rate is None:
        return "–"
    return f"{100 * rate:.1f}" + ("" if interval is None else f" [{100 * interval[0]:.1f}, {100 * interval[1]:.1f}]")

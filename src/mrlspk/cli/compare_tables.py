"""What ``mrlspk compare`` shows on a terminal."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from rich.console import RenderableType

from mrlspk.cli import output
from mrlspk.cli.trial_options import heading, percent

if TYPE_CHECKING:
    from mrlspk.evaluation.comparison import ComparedTrials, ComparisonReport
    from mrlspk.evaluation.paired_comparison import ComparedWidth, Difference


def comparison_tables(report: "ComparisonReport") -> Iterator[RenderableType]:
    """Call the models A, B … in the order given, and show what B has more of than A as B − A."""
    names = _short_names(report)
    yield "\n".join(f"{short}  {model}" for model, short in names.items())
    for trials in report.trials:
        yield ""
        yield heading(trials)
        if report.run:
            yield _epoch_table(trials, names)
            yield "differences of neighbours, with what they rest on: --json or --report DIR"
        else:
            yield _table(trials, names)
            yield _note(trials)


def _short_names(report: "ComparisonReport") -> dict[str, str]:
    """Return A, B … Z, M27 …, or the epoch, by model."""
    if report.run:
        return {str(each.path): str(each.epoch) for each in report.run}
    return {model: chr(ord("A") + i) if i < 26 else f"M{i + 1}" for i, model in enumerate(report.models)}


def _table(trials: "ComparedTrials", names: Mapping[str, str]) -> RenderableType:
    first = trials.results[0]
    columns = ["width", *(f"EER % {names[model]}" for model in first.models)]
    for pair in first.pairs:
        columns += [f"{names[pair.b]} − {names[pair.a]}", *_evidence_columns(pair)]
    columns.append("winner")
    return output.table(None, columns, (_row(width, names) for width in trials.results))


def _evidence_columns(pair: "Difference") -> tuple[str, ...]:
    if pair.delta_ci is not None:
        return "95 %", "p"
    return ("speakers − + =",) if pair.signs is not None else ()


def _row(width: "ComparedWidth", names: Mapping[str, str]) -> Iterator[object]:
    yield width.dim
    for metrics in width.models.values():
        yield percent(metrics.eer)
    for pair in width.pairs:
        yield f"{100 * pair.delta_eer:+.2f}"
        if pair.delta_ci is not None and pair.p_value is not None:
            yield "{:+.2f} {:+.2f}".format(*(100 * end for end in pair.delta_ci))
            yield f"{pair.p_value:.3f}"
        elif pair.signs is not None:
            yield f"{pair.signs.fewer} {pair.signs.more} {pair.signs.equal}"
    yield names[width.winner] if width.winner else "–"


def _epoch_table(trials: "ComparedTrials", names: Mapping[str, str]) -> RenderableType:
    columns = ["epoch", *(f"EER % {width.dim}" for width in trials.results)]
    rows = [
        (names[model], *(percent(width.models[model].eer) for width in trials.results))
        for model in trials.results[0].models
    ]
    return output.table(None, columns, rows)


def _note(trials: "ComparedTrials") -> str:
    n_tests = sum(pair.p_value is not None for width in trials.results for pair in width.pairs)
    if trials.intervals.note:
        signs = any(pair.signs for width in trials.results for pair in width.pairs)
        counts = "; − + = counts the speakers with fewer, more and as many errors" if signs else ""
        return f"no intervals and no winner: {trials.intervals.note}{counts}"
    intervals = f"95 % intervals over {trials.intervals.n_speakers} speakers"
    if n_tests < 2:
        return intervals
    return f"{intervals}; {n_tests} tests: p_holm in --json holds for all of them together"

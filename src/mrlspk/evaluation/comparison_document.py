"""A comparison as plain values: what is printed as JSON and what a report is written from."""

from dataclasses import asdict
from typing import Any

from mrlspk.evaluation.comparison_report import ComparedTrials, ComparisonReport
from mrlspk.evaluation.intervals import LEVEL

NOTE = (
    "p_value is of one comparison; p_holm holds for all {n} together (Holm 1979). A winner has intervals below zero "
    "against every other model."
)


def comparison_values(report: ComparisonReport, *, command_line: str) -> dict[str, Any]:
    """Return a comparison; ``command_line`` makes it again."""
    pairs = [pair for trials in report.trials for width in trials.results for pair in width.pairs]
    n_comparisons = sum(pair.p_value is not None for pair in pairs)
    run = None
    if report.run:
        checkpoints = [{"model": str(each.path), "epoch": each.epoch} for each in report.run]
        run = {"path": str(report.run[0].path.parent), "checkpoints": checkpoints}
    return {
        "models": list(report.models),
        "fingerprints": report.fingerprints,
        "command_line": command_line,
        "settings": {
            "dims": list(report.dims),
            "p_targets": [report.p_target],
            "n_resamples": report.resampling.n_resamples,
            "seed": report.resampling.seed,
            "level": LEVEL,
        },
        "scored_as": {name: asdict(each) for name, each in report.scored_as.items()},
        "n_comparisons": n_comparisons,
        "note": NOTE.format(n=n_comparisons) if n_comparisons else None,
        "run": run,
        "trials": [_list_values(each) for each in report.trials],
    }


def _list_values(trials: ComparedTrials) -> dict[str, Any]:
    values = asdict(trials)
    if trials.missing is None:
        del values["missing"]
    return values

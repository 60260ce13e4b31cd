"""Build the JSON document of an open-set evaluation."""

from dataclasses import asdict
from typing import Any

from mrlspk.evaluation.report.curves import det_curve
from mrlspk.index.decisions.decision_rates import DecisionRates
from mrlspk.index.decisions.open_set import OpenSetReport, WidthIdentification
from mrlspk.metrics.significance import LEVEL


def open_set_values(report: OpenSetReport) -> dict[str, Any]:
    """Return the values of an evaluation; what no query can tell is null."""
    return {
        "voices": report.n_voices,
        "enrolled": {"n_queries": report.n_enrolled, "n_speakers": report.n_enrolled_speakers},
        "unknown": {"n_queries": report.n_unknown, "n_speakers": report.n_unknown_speakers},
        "level": LEVEL,
        "results": [_width_values(each) for each in report.widths],
    }


def add_det_curves(values: dict[str, Any], report: OpenSetReport) -> dict[str, Any]:
    """Return the values with the DET curve of each width, which a page draws: FPIR as ``p_fa``, FNIR as ``p_miss``."""
    return values | {"curves": {"det": [{"dim": each.dim, **det_curve(each.points)} for each in report.widths]}}


def _width_values(width: WidthIdentification) -> dict[str, Any]:
    return {
        "dim": width.dim,
        "rank_1": width.rank_1,
        "rank_1_ci": list(width.rank_1_ci),
        "rates": [_listed(asdict(each)) for each in width.rates],
        "decisions": [_decision_values(each) for each in width.decisions],
    }


def _decision_values(rates: DecisionRates) -> dict[str, Any]:
    values = _listed(asdict(rates))
    above, up_to = values.pop("seconds") or (None, None)
    return {"above_seconds": above, "up_to_seconds": up_to, **values}


def _listed(values: dict[str, Any]) -> dict[str, Any]:
    return {key: list(value) if isinstance(value, tuple) else value for key, value in values.items()}

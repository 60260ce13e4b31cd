"""An evaluation as plain values: what is printed as JSON and what a report is written from."""

from dataclasses import asdict
from typing import Any

from mrlspk.config.evaluation import EvaluationConfig
from mrlspk.evaluation.calibration_file import CalibrationFile
from mrlspk.evaluation.cohort import CohortSource, NormRequest
from mrlspk.evaluation.figures import WidthResult
from mrlspk.evaluation.intervals import LEVEL
from mrlspk.evaluation.list_report import ListReport
from mrlspk.evaluation.model_report import EvaluationReport
from mrlspk.evaluation.model_scores import ScoredList
from mrlspk.evaluation.report.curves import score_curves


def evaluation_values(report: EvaluationReport, *, command_line: str) -> dict[str, Any]:
    """Return an evaluation; ``command_line`` makes it again."""
    values: dict[str, Any] = {
        "model": str(report.model),
        "fingerprint": report.fingerprint,
        "command_line": command_line,
        "settings": settings_values(report.settings, dims=report.dims, seed=report.seed, norm=report.norm),
        "calibration": calibration_values(report.calibration),
        "trials": [list_values(each) for each in report.trials],
    }
    if report.target_eer is not None:
        values["target_eer"] = {"eer": report.target_eer, "trials": [asdict(each) for each in report.target_widths]}
    return values


def add_curves(values: dict[str, Any], report: EvaluationReport) -> dict[str, Any]:
    """Return the values of an evaluation with the curves of each list, for a page that draws them."""
    trials = zip(values["trials"], report.scored, strict=True)
    return values | {"trials": [each | {"curves": _curves(scored, report)} for each, scored in trials]}


def settings_values(
    settings: EvaluationConfig, *, dims: tuple[int, ...], seed: int, norm: NormRequest | None
) -> dict[str, Any]:
    """Return what the figures depend on beside the model and the trials."""
    return {
        "dims": list(dims),
        "p_targets": list(settings.p_target),
        "false_accept_rates": list(settings.false_accept_rates),
        "max_seconds": settings.max_seconds,
        "score_norm": norm.kind if norm else "none",
        "top_n": norm.top_n if norm else None,
        "cohort": _cohort_values(norm.cohort) if norm else None,
        "n_resamples": settings.n_resamples,
        "seed": seed,
        "level": LEVEL,
    }


def calibration_values(calibration: CalibrationFile | None) -> dict[str, Any] | None:
    """Return which calibration was used; None for none."""
    if calibration is None:
        return None
    content = calibration.content
    return {
        "path": str(calibration.path),
        "quality": content.quality,
        "p_target": content.fit_p_target,
        "trials": [{"path": each.path, "sha256": each.sha256} for each in content.trials],
    }


def list_values(report: ListReport) -> dict[str, Any]:
    """Return the figures of one list; a part that was not asked for is absent."""
    values = asdict(report)
    values["audio_root"] = str(report.audio_root)
    values["results"] = [width_values(each) for each in report.results]
    optional = {
        "missing": report.missing,
        "durations": report.durations,
        "breakdown": report.breakdown,
        "baselines": report.baselines,
    }
    return {key: value for key, value in values.items() if key not in optional or optional[key]}


def width_values(result: WidthResult) -> dict[str, Any]:
    """Return the figures of one width; those of the first prior stand apart too."""
    first = result.dcf[0]
    return asdict(result) | {"min_dcf": first.min_dcf, "min_dcf_ci": first.min_dcf_ci}


def _cohort_values(cohort: CohortSource) -> dict[str, Any]:
    return {"path": str(cohort.path), "fingerprint": cohort.fingerprint, "n": cohort.n_speakers}


def _curves(scored: ScoredList, report: EvaluationReport) -> dict[str, Any]:
    llrs = None
    if report.calibration is not None:
        llrs = report.calibration.content.llrs(scored.scored.scores, report.dims, scored.shorter_seconds)
    return score_curves(scored.scored.scores, scored.scored.is_target, report.dims, llrs=llrs)

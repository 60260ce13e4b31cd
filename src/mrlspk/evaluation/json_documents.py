"""Build the JSON documents of `eval` and `compare`."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from mrlspk.config.evaluation import EvaluationConfig
from mrlspk.evaluation.calibration_file import CalibrationFile
from mrlspk.evaluation.evaluation_report import EvaluationReport, ListReport
from mrlspk.evaluation.list_comparison import ComparedTrials, ComparisonReport
from mrlspk.evaluation.paired_comparison import ComparedWidth
from mrlspk.evaluation.report.curves import score_curves
from mrlspk.evaluation.score_lists import ScoredList
from mrlspk.evaluation.score_norm import CohortSource, NormRequest
from mrlspk.metrics.significance import LEVEL
from mrlspk.metrics.width_metrics import WidthMetrics

COMPARISON_NOTE = (
    "p_value is for one comparison; p_holm is valid for all {n} together (Holm 1979). "
    "A winner has intervals below zero against every other model."
)


def evaluation_values(report: EvaluationReport, *, model: dict[str, Any], command_line: str) -> dict[str, Any]:
    """Return the document of an evaluation; ``model`` says who named it, and ``command_line`` repeats the command."""
    values: dict[str, Any] = {
        "model": model | {"path": str(report.model)},
        "fingerprint": report.fingerprint,
        "command_line": command_line,
        **speech_values(report.settings, report.speech_detector),
        "settings": settings_values(report.settings, dims=report.dims, seed=report.seed, norm=report.norm),
        "calibration": calibration_values(report.calibration),
        "trials": [list_values(each) for each in report.trials],
    }
    if report.target_eer is not None:
        values["target_eer"] = {"eer": report.target_eer, "trials": [asdict(each) for each in report.target_widths]}
    return values


def add_curves(values: dict[str, Any], report: EvaluationReport) -> dict[str, Any]:
    """Return the document of an evaluation with the curves of each list, which a page draws."""
    trials = zip(values["trials"], report.scored, strict=True)
    return values | {"trials": [each | {"curves": _curves(scored, report)} for each, scored in trials]}


def settings_values(
    settings: EvaluationConfig, *, dims: tuple[int, ...], seed: int, norm: NormRequest | None
) -> dict[str, Any]:
    """Return the settings that the metrics depend on, besides the model and the trials."""
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


def speech_values(settings: EvaluationConfig, speech_detector: str | None) -> dict[str, Any]:
    """Return the audio that was embedded of each recording; ``speech_detector`` is None for whole recordings."""
    return {"speech": settings.speech, "speech_detector": speech_detector, "channel": settings.channel}


def calibration_values(calibration: CalibrationFile | None) -> dict[str, Any] | None:
    """Return the calibration that was used; None for none."""
    if calibration is None:
        return None
    content = calibration.content
    return {
        "path": str(calibration.path),
        "quality": content.quality,
        "speech": content.speech,
        "p_target": content.fit_p_target,
        "trials": [{"path": each.path, "sha256": each.sha256} for each in content.trials],
    }


def list_values(report: ListReport) -> dict[str, Any]:
    """Return one list; a part that was not requested is absent."""
    dims = [each.dim for each in report.results]
    values = asdict(report) | {
        "audio_root": str(report.audio_root),
        "results": [width_values(each) for each in report.results],
        "durations": [
            asdict(each) | {"results": _row_values(each.results, dims, "eer", "min_dcf")} for each in report.durations
        ],
        "breakdown": [
            {
                "column": column.column,
                "groups": [
                    asdict(each) | {"results": _row_values(each.results, dims, "eer")} for each in column.groups
                ],
            }
            for column in report.breakdown
        ],
        "baselines": [
            {
                "name": each.name,
                "results": _row_values(each.results, [width.dim for width in each.results], "eer", "min_dcf"),
            }
            for each in report.baselines
        ],
    }
    optional = {"missing", "durations", "breakdown", "baselines"}
    return {key: value for key, value in values.items() if key not in optional or value}


def width_values(metrics: WidthMetrics) -> dict[str, Any]:
    """Return all metrics of one width; the minimum detection cost at the first prior stands apart too."""
    first = metrics.dcf[0]
    return asdict(metrics) | {"min_dcf": first.min_dcf, "min_dcf_ci": first.min_dcf_ci}


def comparison_values(report: ComparisonReport, *, command_line: str) -> dict[str, Any]:
    """Return the document of a comparison; ``command_line`` repeats it."""
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
        **{key: _shared(report, key) for key in ("speech", "speech_detector", "channel")},
        "scored_as": {name: asdict(each) for name, each in report.scored_as.items()},
        "n_comparisons": n_comparisons,
        "note": COMPARISON_NOTE.format(n=n_comparisons) if n_comparisons else None,
        "run": run,
        "trials": [_compared_list_values(each) for each in report.trials],
    }


def _shared(report: ComparisonReport, key: str) -> Any:
    """Return how all models were scored; None if they differ."""
    values = {getattr(each, key) for each in report.scored_as.values()}
    return values.pop() if len(values) == 1 else None


def _compared_list_values(trials: ComparedTrials) -> dict[str, Any]:
    values = asdict(replace(trials, results=())) | {
        "results": [_compared_width_values(each) for each in trials.results]
    }
    return {key: value for key, value in values.items() if key != "missing" or value}


def _compared_width_values(width: ComparedWidth) -> dict[str, Any]:
    names = ("eer", "eer_ci", "min_dcf", "min_dcf_ci")
    return {
        "dim": width.dim,
        "models": [
            {"model": name} | {key: value for key, value in width_values(metrics).items() if key in names}
            for name, metrics in width.models.items()
        ],
        "pairs": [asdict(each) for each in width.pairs],
        "winner": width.winner,
    }


def _row_values(results: Sequence[WidthMetrics], dims: Sequence[int], *names: str) -> list[dict[str, Any]]:
    """Return some metrics of each width; all are null if nothing was measured."""
    found = {each.dim: each for each in results}
    return [{"dim": dim} | {name: getattr(found.get(dim), name, None) for name in names} for dim in dims]


def _cohort_values(cohort: CohortSource) -> dict[str, Any]:
    return {"path": str(cohort.path), "fingerprint": cohort.fingerprint, "n": cohort.n_speakers}


def _curves(scored: ScoredList, report: EvaluationReport) -> dict[str, Any]:
    llrs = None
    if report.calibration is not None:
        llrs = report.calibration.content.llrs(scored.scored.scores, report.dims, scored.shorter_seconds)
    return score_curves(scored.scored.scores, scored.scored.is_target, report.dims, llrs=llrs)

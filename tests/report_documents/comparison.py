"""Documents of ``compare``."""

from copy import deepcopy
from functools import cache
from itertools import combinations

import numpy as np

from mrlspk.metrics.dcf import min_dcf
from mrlspk.metrics.det import operating_points
from mrlspk.metrics.eer import eer_threshold_at
from report_documents.drawn import (
    COMMON,
    DIMS,
    FEW_SPEAKERS,
    SETTINGS,
    draw_scores,
    eer_of,
    list_head,
    resampled,
    text_hash,
    width_metrics,
)


def compare_document(*, models=("a.pt", "b.pt"), seeds=(0,), run=False, speakers=False):
    """A comparison of models whose noise falls, on the same trials: with intervals, or else by ``speakers``."""
    return deepcopy(_document(tuple(models), tuple(seeds), run=run, speakers=speakers))


@cache
def _document(models, seeds, *, run, speakers):
    drawn = {seed: [_of_model(seed, index) for index in range(len(models))] for seed in seeds}
    document = {
        **COMMON,
        "command": "compare",
        "models": list(models),
        "fingerprints": {model: text_hash(model) for model in models},
        "command_line": "mrlspk compare " + " ".join(models),
        "settings": {key: SETTINGS[key] for key in ("dims", "n_resamples", "seed", "level")} | {"p_targets": [0.01]},
        "scored_as": {
            model: {"score_norm": "as", "top_n": 300, "cohort": "c" * 64, "max_seconds": 60.0} for model in models
        },
        "n_comparisons": 0,
        "note": "A sentence for programs.",
        "run": None,
        "trials": [_compare_list(seed, models, drawn[seed], speakers=speakers) for seed in seeds],
    }
    pairs = [pair for trials in document["trials"] for result in trials["results"] for pair in result["pairs"]]
    document["n_comparisons"] = sum(pair["p_value"] is not None for pair in pairs)
    if run:
        epochs = [{"model": model, "epoch": index + 1} for index, model in enumerate(models)]
        document["run"] = {"path": "checkpoints/first", "checkpoints": epochs}
    return document


def _of_model(seed, index):
    return draw_scores(seed=seed, noise=0.85**index)


def _compare_list(seed, models, drawn, *, speakers):
    result = list_head(seed, drawn[0])
    if speakers:
        result["intervals"] |= FEW_SPEAKERS
    result["results"] = []
    for column, dim in enumerate(DIMS):
        rows = []
        for model, each in zip(models, drawn, strict=True):
            width = width_metrics(each, column, calibrated=False)
            row = {"model": model} | {key: width[key] for key in ("eer", "eer_ci", "min_dcf", "min_dcf_ci")}
            rows.append(row | ({"eer_ci": None, "min_dcf_ci": None} if speakers else {}))
        pairs = [
            _pair(models, drawn, rows, (a, b), column, speakers=speakers)
            for a, b in combinations(range(len(models)), 2)
        ]
        best = min(rows, key=lambda row: row["eer"])
        winner = best["model"] if all(_is_better(best["model"], pair) for pair in pairs) else None
        result["results"].append({"dim": dim, "models": rows, "pairs": pairs, "winner": winner})
    return result


def _is_better(model, pair):
    """Whether the interval of a pair says so; of a pair of two others nothing is asked."""
    if model not in (pair["a"], pair["b"]):
        return True
    if pair["delta_ci"] is None:
        return False
    return pair["delta_ci"][1] < 0 if model == pair["b"] else pair["delta_ci"][0] > 0


def _pair(models, drawn, rows, chosen, column, *, speakers):
    a, b = chosen
    is_target = drawn[a].is_target
    first, second = drawn[a].scores[:, column], drawn[b].scores[:, column]
    thresholds = [float(eer_threshold_at(operating_points(scores, is_target))) for scores in (first, second)]
    wrong_a, wrong_b = (first >= thresholds[0]) != is_target, (second >= thresholds[1]) != is_target
    by_speaker = []
    for speaker in range(24):
        mine = (drawn[a].enroll_speaker == speaker) | (drawn[a].test_speaker == speaker)
        eers = eer_of(first[mine], is_target[mine]), eer_of(second[mine], is_target[mine])
        by_speaker.append(
            {"speaker": f"id1{speaker:04d}", "eer_a": eers[0], "eer_b": eers[1], "delta": eers[1] - eers[0]}
        )
    deltas = np.array([row["delta"] for row in by_speaker])
    pair = {
        "a": models[a],
        "b": models[b],
        "delta_eer": rows[b]["eer"] - rows[a]["eer"],
        "delta_ci": resampled(drawn[a], lambda r: eer_of(second[r], is_target[r]) - eer_of(first[r], is_target[r])),
        "p_value": 0.0004 if column else 0.21,
        "p_holm": 0.0016 if column else 0.21,
        "delta_min_dcf": rows[b]["min_dcf"] - rows[a]["min_dcf"],
        "delta_min_dcf_ci": resampled(
            drawn[a],
            lambda r: min_dcf(second[r], is_target[r], p_target=0.01) - min_dcf(first[r], is_target[r], p_target=0.01),
        ),
        "min_dcf_p_value": 0.08,
        "mcnemar": {
            "threshold_a": thresholds[0],
            "threshold_b": thresholds[1],
            "only_a_wrong": int((wrong_a & ~wrong_b).sum()),
            "only_b_wrong": int((wrong_b & ~wrong_a).sum()),
            "p_value": 0.032,
        },
        "signs": {"fewer": int((deltas < 0).sum()), "more": int((deltas > 0).sum()), "equal": int((deltas == 0).sum())},
    }
    if speakers:  # too few of them for intervals
        no_tests = dict.fromkeys(("delta_ci", "p_value", "p_holm", "delta_min_dcf_ci", "min_dcf_p_value"))
        return pair | no_tests | {"speakers": by_speaker}
    return pair | {"signs": None, "speakers": []}

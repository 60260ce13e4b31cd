"""Documents of ``eval``."""

from copy import deepcopy
from functools import cache

import numpy as np

from mrlspk.evaluation.report import score_curves
from mrlspk.metrics.dcf import min_dcf
from mrlspk.metrics.det import operating_points
from mrlspk.metrics.eer import eer_threshold_at
from report_documents.drawn import (
    COMMON,
    DIMS,
    SETTINGS,
    draw_scores,
    eer_of,
    list_head,
    llrs_of,
    text_hash,
    width_metrics,
)


def eval_document(*, seeds=(0, 1), calibrated=True, extras=True, name="runs/first/best.pt"):
    """A document with every part that the page can show; without ``extras`` only what every evaluation has."""
    lists = [deepcopy(_eval_list(seed, calibrated=calibrated, extras=extras)) for seed in seeds]
    document = {
        **COMMON,
        "command": "eval",
        "model": {"path": name, "source": "argument"},
        "fingerprint": text_hash(name),
        "command_line": f"mrlspk eval {name} --trials list-0.txt --report report",
        "settings": deepcopy(SETTINGS),
        "calibration": None,
        "trials": lists,
    }
    if calibrated:
        trials = [{"path": "dev.txt", "sha256": text_hash("dev")}]
        document["calibration"] = {"path": "best.calibration.json", "trials": trials, "quality": None, "p_target": 0.01}
    if extras:
        document["target_eer"] = {"eer": 0.08, "trials": [_smallest(each, 0.08) for each in lists]}
    return document


def _smallest(trials, rate):
    """The smallest width that meets a rate: by its upper bound, and by its estimate alone."""
    rows = trials["results"]
    by_bound = next((row["dim"] for row in rows if row["eer_ci"][1] <= rate), None)
    by_estimate = next((row["dim"] for row in rows if row["eer"] <= rate), None)
    return {"path": trials["path"], "dim": by_bound, "dim_by_estimate": by_estimate, "reason": None}


@cache
def _eval_list(seed, *, calibrated, extras):
    drawn = draw_scores(seed=seed)
    result = list_head(seed, drawn)
    columns = range(len(DIMS))
    result["results"] = [width_metrics(drawn, column, calibrated=calibrated) for column in columns]
    llrs = np.stack([llrs_of(drawn, column) for column in columns], axis=1) if calibrated else None
    result["curves"] = score_curves(drawn.scores, drawn.is_target, DIMS, llrs=llrs)
    if extras:
        result["missing"] = {"n_utterances": 3, "n_trials": 17, "first": ["id9/x.wav", "id9/y.wav"]}
        result |= {"durations": _durations(seed), "breakdown": [_breakdown(drawn)], "baselines": _baselines(seed)}
        result |= {"worst_speakers": _worst(drawn), "errors": _errors(drawn)}
    return result


def _baselines(seed):
    """Of an own embedding that has all widths but the last."""
    figures = {
        noise: [
            {"dim": dim, "eer": eer_of(drawn.scores[:, i], drawn.is_target), "min_dcf": 0.5}
            for i, dim in enumerate(DIMS[:-1])
        ]
        for noise in (1.4, 1.2)
        for drawn in (draw_scores(seed=seed, noise=noise),)
    }
    names = ("own", figures[1.4][-1:]), ("truncation", figures[1.4]), ("rotation", figures[1.2])
    return [{"name": name, "results": results} for name, results in names]


def _durations(seed):
    groups = []
    for seconds, noise in ((1.0, 2.0), (2.0, 1.5), (3.0, 1.25), (5.0, 1.1), (None, 1.0)):
        drawn = draw_scores(seed=seed, noise=noise)
        groups.append(
            {
                "seconds": seconds,
                "n_target": int(drawn.is_target.sum()),
                "n_nontarget": int((~drawn.is_target).sum()),
                "n_left_out": 0 if seconds is None else int(10 * seconds),
                "results": [
                    {
                        "dim": dim,
                        "eer": eer_of(drawn.scores[:, i], drawn.is_target),
                        "min_dcf": float(min_dcf(drawn.scores[:, i], drawn.is_target, p_target=0.01)),
                    }
                    for i, dim in enumerate(DIMS)
                ],
            }
        )
    return groups


def _breakdown(drawn):
    groups = []
    for value, keep in (("f", drawn.enroll_speaker % 2 == 0), ("m", drawn.enroll_speaker % 2 == 1)):
        results = [
            {"dim": dim, "eer": eer_of(drawn.scores[keep, i], drawn.is_target[keep])} for i, dim in enumerate(DIMS)
        ]
        counts = int(drawn.is_target[keep].sum()), int((~drawn.is_target[keep]).sum())
        groups.append({"value": value, "n_target": counts[0], "n_nontarget": counts[1], "results": results})
    none = [{"dim": dim, "eer": None} for dim in DIMS]
    groups.append({"value": "(unknown)", "n_target": 0, "n_nontarget": 12, "results": none})
    return {"column": "gender", "groups": groups}


def _worst(drawn):
    scores, is_target = drawn.scores[:, -1], drawn.is_target
    threshold = eer_threshold_at(operating_points(scores, is_target))
    rows = []
    for speaker in range(24):
        mine = (drawn.enroll_speaker == speaker) | (drawn.test_speaker == speaker)
        target, nontarget = scores[mine & is_target], scores[mine & ~is_target]
        rows.append(
            {
                "speaker": f"id1{speaker:04d}",
                "n_target": len(target),
                "n_nontarget": len(nontarget),
                "eer": eer_of(scores[mine], is_target[mine]),
                "p_miss": float(np.mean(target < threshold)),
                "p_fa": float(np.mean(nontarget >= threshold)),
            }
        )
    return {"dim": DIMS[-1], "speakers": sorted(rows, key=lambda row: -row["eer"])[:10]}


def _errors(drawn):
    scores = drawn.scores[:, -1]
    threshold = float(eer_threshold_at(operating_points(scores, drawn.is_target)))

    def rows(order):
        return [
            {"enroll_id": drawn.ids[i][0], "test_id": drawn.ids[i][1], "score": float(scores[i])} for i in order[:8]
        ]

    order = np.argsort(scores)
    misses = [i for i in order if drawn.is_target[i] and scores[i] < threshold]
    accepts = [i for i in order[::-1] if not drawn.is_target[i] and scores[i] >= threshold]
    return {"dim": DIMS[-1], "threshold": threshold, "false_accepts": rows(accepts), "misses": rows(misses)}

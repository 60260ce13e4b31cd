"""JSON documents of ``eval`` and ``compare`` made from drawn scores, for tests of reports."""

import hashlib
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from mrlspk.evaluation.report import score_curves
from mrlspk.metrics.cllr import cllr
from mrlspk.metrics.cosine import prefix_cosine_scores
from mrlspk.metrics.dcf import act_dcf, min_dcf
from mrlspk.metrics.det import operating_points
from mrlspk.metrics.eer import eer_at, eer_threshold_at

DIMS = (16, 32, 64, 128)
PRIORS = (0.01, 0.05)
COMMON = {"schema_version": 1, "mrlspk_version": "0.1.0"}
SETTINGS = {
    "dims": list(DIMS),
    "p_targets": list(PRIORS),
    "false_accept_rates": [0.01, 0.1],
    "max_seconds": 60.0,
    "score_norm": "as",
    "top_n": 300,
    "cohort": {"path": "cohort", "fingerprint": "c" * 64, "n": 1200},
    "n_resamples": 60,
    "seed": 0,
    "level": 0.95,
}


@dataclass(frozen=True)
class Drawn:
    """Scores of all pairs of a drawn set of voices: (trials, len(DIMS)), and whose utterances they compare."""

    scores: np.ndarray
    is_target: np.ndarray
    enroll_speaker: np.ndarray
    test_speaker: np.ndarray
    ids: list[tuple[str, str]]


def draw_scores(*, seed=0, n_speakers=24, n_utterances=5, noise=1.0):
    generator = np.random.default_rng(seed)
    centres = np.repeat(generator.normal(size=(n_speakers, DIMS[-1])), n_utterances, axis=0)
    loud = np.repeat(generator.uniform(0.6, 1.5, size=(n_speakers, 1)), n_utterances, axis=0)
    scale = 1 / np.sqrt(1 + np.arange(DIMS[-1]) / 16)  # earlier values tell more
    vectors = centres * scale + 0.85 * noise * loud * generator.normal(size=centres.shape)
    speaker = np.repeat(np.arange(n_speakers), n_utterances)
    pairs = np.array(list(combinations(range(len(speaker)), 2)))
    pairs = pairs[(speaker[pairs[:, 0]] == speaker[pairs[:, 1]]) | (generator.random(len(pairs)) < 0.3)]
    names = [f"id1{s:04d}/session{i % 2}/{i:05d}.wav" for i, s in enumerate(speaker)]
    enroll, test = speaker[pairs[:, 0]], speaker[pairs[:, 1]]
    return Drawn(
        prefix_cosine_scores(vectors, pairs[:, 0], pairs[:, 1], DIMS),
        enroll == test,
        enroll,
        test,
        [(names[a], names[b]) for a, b in pairs],
    )


def eval_document(*, seeds=(0, 1), calibrated=True, extras=True, name="runs/first/best.pt"):
    """A document with every part that the page can show; without ``extras`` only what every evaluation has."""
    lists = [_eval_list(seed, calibrated=calibrated, extras=extras) for seed in seeds]
    document = {
        **COMMON,
        "command": "eval",
        "model": name,
        "fingerprint": _hash(name),
        "command_line": f"mrlspk eval {name} --trials list-0.txt --report report",
        "settings": SETTINGS,
        "calibration": None,
        "trials": lists,
    }
    if calibrated:
        trials = [{"path": "dev.txt", "sha256": _hash("dev")}]
        document["calibration"] = {"path": "best.calibration.json", "trials": trials, "quality": None, "p_target": 0.01}
    if extras:
        document["target_eer"] = {"eer": 0.08, "trials": [_smallest(each, 0.08) for each in lists]}
    return document


def compare_document(*, models=("a.pt", "b.pt"), seeds=(0,), run=False, speakers=False):
    """A comparison of models whose noise falls, on the same trials: with intervals, or else by ``speakers``."""
    drawn = {seed: [_of_model(seed, index) for index in range(len(models))] for seed in seeds}
    document = {
        **COMMON,
        "command": "compare",
        "models": list(models),
        "fingerprints": {model: _hash(model) for model in models},
        "command_line": "mrlspk compare " + " ".join(models),
        "settings": SETTINGS,
        "n_comparisons": len(DIMS) * len(models) * (len(models) - 1) // 2,
        "note": "p-values of several comparisons: Holm's correction is shown beside each.",
        "run": None,
        "trials": [_compare_list(seed, models, drawn[seed], speakers=speakers) for seed in seeds],
    }
    if run:
        epochs = [{"model": model, "epoch": index + 1} for index, model in enumerate(models)]
        document["run"] = {"path": "checkpoints/first", "checkpoints": epochs}
    return document


def _smallest(trials, rate):
    """The smallest width that meets a rate: by its upper bound, and by its estimate alone."""
    rows = trials["results"]
    by_bound = next((row["dim"] for row in rows if row["eer_ci"][1] <= rate), None)
    by_estimate = next((row["dim"] for row in rows if row["eer"] <= rate), None)
    return {"path": trials["path"], "dim": by_bound, "dim_by_estimate": by_estimate, "reason": None}


def _of_model(seed, index):
    return draw_scores(seed=seed, noise=0.85**index)


def _hash(text):
    return hashlib.sha256(text.encode()).hexdigest()


def _list_head(seed, drawn):
    return {
        "path": f"lists/list-{seed}.txt",
        "sha256": _hash(f"list{seed}"),
        "official": {"name": "VoxCeleb1-O (cleaned)", "by": "fingerprint"} if seed == 0 else None,
        "source": "--trials",
        "audio_root": "audio",
        "n_target": int(drawn.is_target.sum()),
        "n_nontarget": int((~drawn.is_target).sum()),
        "n_speakers": 24,
        "n_utterances": 120,
        "intervals": {
            "level": 0.95,
            "n_resamples": 60,
            "n_speakers": 24,
            "speakers_from": "folders",
            "note": None if seed == 0 else "18 speakers: an interval means little.",
        },
    }


def _eval_list(seed, *, calibrated, extras):
    drawn = draw_scores(seed=seed)
    result = _list_head(seed, drawn)
    columns = range(len(DIMS))
    result["results"] = [_width(drawn, column, calibrated=calibrated) for column in columns]
    llrs = np.stack([_llrs(drawn, column) for column in columns], axis=1) if calibrated else None
    result["curves"] = score_curves(drawn.scores, drawn.is_target, DIMS, llrs=llrs)
    if extras:
        result["missing"] = {"n_utterances": 3, "n_trials": 17, "first": ["id9/x.wav", "id9/y.wav"]}
        result |= {"durations": _durations(seed), "breakdown": [_breakdown(drawn)]}
        result |= {"worst_speakers": _worst(drawn), "errors": _errors(drawn)}
    return result


def _llrs(drawn, column):
    """Ratios of two normal densities of one variance, fitted to the scores themselves."""
    scores = drawn.scores[:, column]
    target, nontarget = scores[drawn.is_target], scores[~drawn.is_target]
    variance = (target.var() + nontarget.var()) / 2
    return (target.mean() - nontarget.mean()) / variance * (scores - (target.mean() + nontarget.mean()) / 2)


def _eer(scores, is_target):
    return float(eer_at(operating_points(scores, is_target)))


def _resampled(drawn, figure, *, n=60):
    """Percentiles of a figure over trials repeated as often as their speakers are drawn."""
    generator = np.random.default_rng(1)
    values = []
    for _ in range(n):
        counts = np.bincount(generator.integers(0, 24, 24), minlength=24)
        weights = np.where(
            drawn.is_target, counts[drawn.enroll_speaker], counts[drawn.enroll_speaker] * counts[drawn.test_speaker]
        )
        values.append(figure(np.repeat(np.arange(len(weights)), weights)))
    return np.quantile(values, [0.025, 0.975]).tolist()


def _width(drawn, column, *, calibrated):
    scores, is_target = drawn.scores[:, column], drawn.is_target
    points = operating_points(scores, is_target)
    threshold = float(eer_threshold_at(points))
    llrs = _llrs(drawn, column)
    dcf = []
    for prior in PRIORS:
        cost = float(min_dcf(scores, is_target, p_target=prior))
        best = int(np.argmin(prior * points.p_miss + (1 - prior) * points.p_fa))
        dcf.append(
            {
                "p_target": prior,
                "min_dcf": cost,
                "min_dcf_ci": _resampled(drawn, lambda r, p=prior: min_dcf(scores[r], is_target[r], p_target=p), n=12),
                "threshold": float(min(points.thresholds[best], scores.max())),
                "act_dcf": float(act_dcf(llrs, is_target, p_target=prior)) if calibrated else None,
            }
        )
    rates = []
    for rate in SETTINGS["false_accept_rates"]:
        first = int(np.argmax(points.p_fa <= rate))
        rates.append(
            {"p_fa": rate, "threshold": float(points.thresholds[first]), "p_miss": float(points.p_miss[first])}
        )
    return {
        "dim": DIMS[column],
        "eer": _eer(scores, is_target),
        "eer_ci": _resampled(drawn, lambda r: _eer(scores[r], is_target[r])),
        "threshold": threshold,
        "accuracy": float(np.mean((scores >= threshold) == is_target)),
        "min_dcf": dcf[0]["min_dcf"],
        "min_dcf_ci": dcf[0]["min_dcf_ci"],
        "dcf": dcf,
        "cllr": float(cllr(llrs, is_target)) if calibrated else None,
        "min_cllr": float(cllr(llrs, is_target)) * 0.9,
        "calibrated_threshold": threshold + 0.01 if calibrated else None,
        "false_accepts": rates,
    }


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
                        "eer": _eer(drawn.scores[:, i], drawn.is_target),
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
            {"dim": dim, "eer": _eer(drawn.scores[keep, i], drawn.is_target[keep])} for i, dim in enumerate(DIMS)
        ]
        counts = int(drawn.is_target[keep].sum()), int((~drawn.is_target[keep]).sum())
        groups.append({"value": value, "n_target": counts[0], "n_nontarget": counts[1], "results": results})
    none = [{"dim": dim, "eer": None} for dim in DIMS]
    groups.append({"value": "unknown", "n_target": 0, "n_nontarget": 12, "results": none})
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
                "eer": _eer(scores[mine], is_target[mine]),
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


def _compare_list(seed, models, drawn, *, speakers):
    result = _list_head(seed, drawn[0])
    result["results"] = []
    for column, dim in enumerate(DIMS):
        rows = []
        for model, each in zip(models, drawn, strict=True):
            width = _width(each, column, calibrated=False)
            row = {"model": model} | {key: width[key] for key in ("eer", "eer_ci", "min_dcf", "min_dcf_ci")}
            rows.append(row | ({"eer_ci": None, "min_dcf_ci": None} if speakers else {}))
        pairs = [
            _pair(models, drawn, rows, (a, b), column, speakers=speakers)
            for a, b in combinations(range(len(models)), 2)
        ]
        best = min(rows, key=lambda row: row["eer"])
        winner = (
            best["model"]
            if all(pair["delta_ci"] and pair["delta_ci"][0] * pair["delta_ci"][1] > 0 for pair in pairs)
            else None
        )
        result["results"].append({"dim": dim, "models": rows, "pairs": pairs, "winner": winner})
    return result


def _pair(models, drawn, rows, chosen, column, *, speakers):
    a, b = chosen
    is_target = drawn[a].is_target
    first, second = drawn[a].scores[:, column], drawn[b].scores[:, column]
    thresholds = [float(eer_threshold_at(operating_points(scores, is_target))) for scores in (first, second)]
    wrong_a, wrong_b = (first >= thresholds[0]) != is_target, (second >= thresholds[1]) != is_target
    by_speaker = []
    for speaker in range(24):
        mine = (drawn[a].enroll_speaker == speaker) | (drawn[a].test_speaker == speaker)
        eers = _eer(first[mine], is_target[mine]), _eer(second[mine], is_target[mine])
        by_speaker.append(
            {"speaker": f"id1{speaker:04d}", "eer_a": eers[0], "eer_b": eers[1], "delta": eers[1] - eers[0]}
        )
    deltas = np.array([row["delta"] for row in by_speaker])
    pair = {
        "a": models[a],
        "b": models[b],
        "delta_eer": rows[b]["eer"] - rows[a]["eer"],
        "delta_ci": _resampled(drawn[a], lambda r: _eer(second[r], is_target[r]) - _eer(first[r], is_target[r])),
        "p_value": 0.0004 if column else 0.21,
        "p_holm": 0.0016 if column else 0.21,
        "delta_min_dcf": rows[b]["min_dcf"] - rows[a]["min_dcf"],
        "delta_min_dcf_ci": _resampled(
            drawn[a],
            lambda r: min_dcf(second[r], is_target[r], p_target=0.01) - min_dcf(first[r], is_target[r], p_target=0.01),
            n=12,
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

"""Compare the false accept rate that is told with that of other speakers, for several numbers of voices."""

from collections.abc import Mapping
from functools import cache

import numpy as np

from mrlspk import VoiceIndex
from mrlspk.index.decisions.fitting import CalibrationReport, Origin, calibrate
from mrlspk.index.decisions.tail import rate_per_voice
from mrlspk.index.decisions.trials import EnrolledRecordings, Queries, score_trials
from mrlspk.index.evaluating import KnownRecordings
from voice_index.embeddings import Vectors
from voice_index.index import split_speakers
from voice_index.tables import Table

TOLD = (0.01, 0.02, 0.05, 0.1)
SIZES = (30, 60, 120, 240)  # voices that a calibration is fitted to
DRAWS = 10
SPLITS = 8


def formula_rows(index: VoiceIndex, known: KnownRecordings, report: CalibrationReport) -> Table:
    """Return what is measured with the rate of one voice from single comparisons, and from searches."""
    dim = index.settings.embed_dim
    is_other, is_own = _kinds(index, known)
    best, right = _best(index, known)
    width, n_voices = report.calibration.width(dim), len(index)
    llrs = np.array(
        [report.calibration.llrs(score, dim, each) for score, each in zip(best, known.speech_seconds, strict=True)]
    )
    rows: list[list[object]] = []
    for rate in TOLD:
        cells: list[object] = [f"{100 * rate:g}"]
        for tail in (width.tails[0], width.tail(n_voices)):
            reached = llrs >= tail.threshold(rate_per_voice(rate, n_voices))
            cells += [f"{100 * reached[is_other].mean():.1f}", f"{100 * (reached & right)[is_own].mean():.1f}"]
        rows.append(cells)
    heads = ["told %", "FAR of comparisons: measured %", "identified %", "FAR of searches: measured %", "identified %"]
    return f"1 - (1 - FAR)^N at {dim} values, with two ways to measure FAR", heads, rows


def filter_rows(
    index: VoiceIndex, known: KnownRecordings, report: CalibrationReport, sexes: Mapping[str, str]
) -> Table:
    """Return what is measured among voices of the query's sex, as a filter leaves them."""
    dim = index.settings.embed_dim
    rows: list[list[object]] = []
    for sex, shown in (("f", "women"), ("m", "men")):
        asked = [row for row, name in enumerate(known.names) if name not in index and sexes.get(name) == sex]
        found = index.search_many(known.vectors[asked], k=1, where=f'sex = "{sex}"')
        best = np.array([each.results[0].score for each in found])
        cells: list[object] = [shown, len(asked), found[0].voices]
        for rate in TOLD:
            seconds = known.speech_seconds[asked]
            limits = [report.calibration.threshold(rate, found[0].voices, dim, each).score for each in seconds]
            cells.append(f"{100 * np.mean(best >= limits):.1f}")
        rows.append(cells)
    heads = ["filter", "queries", "voices", *(f"told {100 * rate:g} %: measured %" for rate in TOLD)]
    return "Other speakers searched among voices of their sex", heads, rows


def draw_rows(sets: Mapping[str, Vectors]) -> list[Table]:
    """Return what is measured at each rate, by set, over several draws of the speakers who stay unenrolled."""
    tables = []
    for number, way in enumerate(("whole searches", "single comparisons")):
        rows: list[list[object]] = []
        for name, vectors in sets.items():
            splits = [_measure_split(vectors, seed)[number] for seed in range(SPLITS)]
            cells = []
            for of_rate in zip(*splits, strict=True):
                false, accepted = np.array(of_rate).T
                cells.append(
                    f"{100 * false.mean():.1f} (at most {100 * false.max():.1f}) · {100 * accepted.mean():.0f}"
                )
            rows.append([name, *cells])
        heads = ["set", *(f"told {100 * rate:g} %: measured % · identified %" for rate in TOLD)]
        title = f"Told and measured over {SPLITS} draws of who stays unenrolled (mean, highest), FAR of {way}"
        tables.append((title, heads, rows))
    return tables


@cache
def _measure_split(vectors: Vectors, seed: int) -> list[list[tuple[float, float]]]:
    """Return false accepts and identified queries at each rate, with FAR of searches and of single comparisons."""
    split, dim = split_speakers(vectors, seed=seed), vectors.unit.shape[1]
    asked = vectors.take(split.queries)
    enrolled = _recordings(vectors.take(split.enrolled), np.unique(vectors.speakers[split.enrolled]))
    calibration = calibrate(enrolled, (dim,), origin=Origin()).calibration
    places = {name: place for place, name in enumerate(enrolled.names)}
    voice = np.array([places.get(str(name), -1) for name in asked.speakers])
    strangers = np.full(len(voice), -1)
    trials = score_trials(enrolled, Queries(asked.unit, voice, asked.speech_seconds, strangers), (dim,))
    best, own = np.nanmax(trials.others[0], axis=1), trials.target[:, 0]
    line = calibration.width(dim).line
    bias = line.bias(np.log([calibration.seconds_used(each) for each in asked.speech_seconds]))
    found = []
    for tail in (calibration.width(dim).tail(enrolled.n_voices), calibration.width(dim).tails[0]):
        shares = []
        for rate in TOLD:
            limits = (tail.threshold(rate_per_voice(rate, enrolled.n_voices)) - bias) / line.scale
            accepted = (own >= limits) & (own > best)
            shares.append((float(np.mean((best >= limits)[voice < 0])), float(np.mean(accepted[voice >= 0]))))
        found.append(shares)
    return found


def growth_rows(enrolled: Vectors, index: VoiceIndex, known: KnownRecordings) -> Table:
    """Return what is measured among all voices with calibrations fitted to some of them."""
    dim = index.settings.embed_dim
    is_other, _ = _kinds(index, known)
    best, _ = _best(index, known)
    rng, names = np.random.default_rng(0), np.unique(enrolled.speakers)
    rows: list[list[object]] = []
    for size in SIZES:
        measured: dict[float, list[float]] = {rate: [] for rate in TOLD}
        for _draw in range(DRAWS):
            chosen = rng.permutation(names)[:size]
            calibration = calibrate(_recordings(enrolled, chosen), (dim,), origin=Origin()).calibration
            for rate in TOLD:
                limits = [calibration.threshold(rate, len(index), dim, each).score for each in known.speech_seconds]
                measured[rate].append(float(np.mean((best >= limits)[is_other])))
        cells = [
            f"{100 * np.mean(each):.1f} [{100 * min(each):.1f}, {100 * max(each):.1f}]" for each in measured.values()
        ]
        rows.append([size, *cells])
    heads = ["fitted to", *(f"told {100 * rate:g} %: measured %" for rate in TOLD)]
    return f"Rates for {len(index)} voices, fitted to fewer ({DRAWS} draws: mean, lowest, highest)", heads, rows


def _kinds(index: VoiceIndex, known: KnownRecordings) -> tuple[np.ndarray, np.ndarray]:
    """Return which queries are of speakers who are not enrolled, and which of others."""
    enrolled = {name: name in index for name in set(known.names)}
    is_own = np.array([enrolled[name] for name in known.names])
    return ~is_own, is_own


def _best(index: VoiceIndex, known: KnownRecordings) -> tuple[np.ndarray, np.ndarray]:
    """Return the score of the best voice of each query, and whether it is the speaker's."""
    found = [each.results[0] for each in index.search_many(known.vectors, k=1)]
    return np.array([each.score for each in found]), np.array(
        [each.name == name for each, name in zip(found, known.names, strict=True)]
    )


def _recordings(enrolled: Vectors, names: np.ndarray) -> EnrolledRecordings:
    rows = np.flatnonzero(np.isin(enrolled.speakers, names))
    kept, places = np.unique(enrolled.speakers[rows], return_inverse=True)
    sources = tuple(map(str, enrolled.sources[rows]))
    return EnrolledRecordings(
        enrolled.unit[rows], tuple(map(str, kept)), places, enrolled.speech_seconds[rows], sources
    )

"""Measure scoring and resampling of whole trial lists, given the embeddings, as a Markdown table.

The embeddings are random vectors with an effect of the speaker. The first list is read from a file with lines
`1 enrolment test` (gzip or text); the second has 580,000 trials of 1,251 speakers over 145,000 utterances. Each line
runs in its own process on one core. Seconds are CPU seconds; memory is the peak of the process, with imports and
embeddings. Exits 1 if a line exceeds its time limit or 1 GiB.
"""

import argparse
import gzip
import resource
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mrlspk.metrics.cllr import cllr, min_cllr_at
from mrlspk.metrics.cosine import prefix_cosine_scores
from mrlspk.metrics.dcf import act_dcf, min_dcf_at, min_dcf_threshold_at
from mrlspk.metrics.det import operating_points, threshold_at_far
from mrlspk.metrics.eer import accuracy_at, eer_at, eer_threshold_at
from mrlspk.metrics.significance import bootstrap_speakers, rate_interval

DIMS = (8, 16, 32, 64, 128, 192, 256)
P_TARGETS = (0.01, 0.05)
FALSE_ACCEPT_RATES = (0.1, 0.01, 0.001)
MEMORY_MIB = 1024


@dataclass(frozen=True)
class Bench:
    """A trial list with embeddings.

    Attributes:
        embeddings: (utterances, embed_dim).
        enroll: (trials,), row of the enrolment utterance.
        test: (trials,).
        speaker: (utterances,).
    """

    embeddings: NDArray[np.float32]
    enroll: NDArray[np.intp]
    test: NDArray[np.intp]
    speaker: NDArray[np.intp]

    @property
    def is_target(self) -> NDArray[np.bool_]:
        """Which trials are of one speaker."""
        return self.speaker[self.enroll] == self.speaker[self.test]


def embed(speaker: NDArray[np.intp]) -> NDArray[np.float32]:
    """Return random vectors, alike within a speaker."""
    rng = np.random.default_rng(0)
    of_speaker = rng.standard_normal((int(speaker.max()) + 1, DIMS[-1]), dtype=np.float32)
    embeddings = rng.standard_normal((speaker.size, DIMS[-1]), dtype=np.float32)
    embeddings *= 1.5
    for start in range(0, speaker.size, 4096):
        embeddings[start : start + 4096] += of_speaker[speaker[start : start + 4096]]
    return embeddings


def listed(path: Path) -> Bench:
    """Return the trials of a file."""
    text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    ids = np.array([line.split()[1:] for line in text.decode().splitlines()])
    utterances, (enroll, test) = np.unique(ids.T, return_inverse=True)
    _, speaker = np.unique([utterance.split("/")[0] for utterance in utterances], return_inverse=True)
    return Bench(embed(speaker), enroll, test, speaker)


def drawn(n_trials: int = 580_000, n_utterances: int = 145_000, n_speakers: int = 1_251) -> Bench:
    """Return random trials, half of them target trials."""
    rng = np.random.default_rng(0)
    speaker = rng.integers(n_speakers, size=n_utterances)
    by_speaker = np.argsort(speaker, kind="stable")
    first, count = np.searchsorted(speaker[by_speaker], np.arange(n_speakers)), np.bincount(speaker)
    enroll, test = rng.integers(n_utterances, size=(2, n_trials))
    of = speaker[enroll[::2]]
    test[::2] = by_speaker[first[of] + rng.integers(count[of])]
    return Bench(embed(speaker), enroll, test, speaker)


def score(bench: Bench) -> None:
    """Compute the cosines and every figure at every width."""
    is_target = bench.is_target
    counts = {"n_target": int(is_target.sum()), "n_nontarget": int((~is_target).sum())}
    for column in prefix_cosine_scores(bench.embeddings, bench.enroll, bench.test, DIMS).T:
        points = operating_points(column, is_target)
        for figure in (eer_at, eer_threshold_at, min_cllr_at, partial(accuracy_at, **counts)):
            figure(points)
        for p_target in P_TARGETS:
            min_dcf_at(points, p_target=p_target)
            min_dcf_threshold_at(points, p_target=p_target)
            act_dcf(column, is_target, p_target=p_target)
        for rate in FALSE_ACCEPT_RATES:
            threshold_at_far(points, rate)
        cllr(column, is_target)


def resample(bench: Bench, n_resamples: int = 1000) -> None:
    """Compute the intervals at four widths."""
    scores, is_target = prefix_cosine_scores(bench.embeddings, bench.enroll, bench.test, DIMS[3:]), bench.is_target
    speakers = bench.speaker[bench.enroll], bench.speaker[bench.test]
    resamples = bootstrap_speakers(scores, is_target, *speakers, p_targets=P_TARGETS, n_resamples=n_resamples)
    for number, column in enumerate(scores.T):
        eer = eer_at(operating_points(column, is_target))
        rate_interval(resamples.eer[:, number], eer, n_speakers=np.unique(bench.speaker).size)


def measure(make: Callable[[], Bench], run: Callable[[Bench], None]) -> tuple[int, float, float]:
    """Return the number of trials, the processor seconds of one run and the peak of memory in MiB."""
    bench = make()
    start = time.process_time()
    run(bench)
    seconds = time.process_time() - start
    return bench.enroll.size, seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> int:
    """Print the table; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("trials", type=Path, help="trial list of the first line")
    parser.add_argument("--large", action="store_true", help="resample the second list too (about a minute)")
    arguments = parser.parse_args()
    small, widths = partial(listed, arguments.trials), len(DIMS)
    # Name, list, what is run, and the seconds that it may take.
    lines: list[tuple[str, Callable[[], Bench], Callable[[Bench], None], float]] = [
        (f"all figures, {widths} widths", small, score, 1.0),
        (f"all figures, {widths} widths", drawn, score, 6.0),
        ("1,000 resamples, 4 widths", small, resample, 10.0),
    ]
    if arguments.large:
        lines.append(("1,000 resamples, 4 widths", drawn, resample, 120.0))
    print("| what | trials | seconds | allowed | share | peak MiB |\n|---|---|---|---|---|---|", flush=True)
    within = True
    for name, make, run, allowed in lines:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            n_trials, seconds, peak = pool.submit(measure, make, run).result()
        print(
            f"| {name} | {n_trials:,} | {seconds:.2f} | {allowed:.0f} | {seconds / allowed:.0%} | {peak:.0f} |",
            flush=True,
        )
        within &= seconds <= allowed and peak <= MEMORY_MIB
    return int(not within)


if __name__ == "__main__":
    sys.exit(main())

"""Check intervals and p-values on simulated scores whose true error rates are known, as a Markdown table.

Each speaker has one effect on target trials and another on non-target trials; two models share most of both. The true
rates come from 10^7 trials of new speakers. Exits 1 if at 200 speakers the 95 % intervals of the EER contain the true
rate in fewer than 92 % or more than 98 % of the repetitions, if p <= 0.05 in fewer than 2 % or more than 8 % of the
repetitions without a difference, or if the median p-value of a halved EER reaches 0.01.
"""

import argparse
import json
import sys
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from itertools import product

import numpy as np
from numpy.typing import NDArray

from mrlspk.metrics.dcf import min_dcf
from mrlspk.metrics.eer import equal_error_rate
from mrlspk.metrics.significance import bootstrap_speakers, p_value, rate_interval

# Standard deviations of the effects of speakers; scores of either kind have a deviation of 1.
TARGET_EFFECT, NONTARGET_EFFECT = 0.6, 0.5
SHARED = 0.7  # of the variance, between two models
SHIFT, HALVING_SHIFT = 3.6, 4.196  # of target scores: 3.6 % EER, and half of it
P_TARGET = 0.05


@dataclass(frozen=True)
class Design:
    """A trial list: ``per_speaker`` target trials and as many non-target trials from each speaker."""

    n_speakers: int
    per_speaker: int


@dataclass(frozen=True)
class Row:
    """The results of one design; shares lie in [0, 1]."""

    n_speakers: int
    per_speaker: int
    coverage_eer: float
    coverage_min_dcf: float
    null_eer: float
    null_min_dcf: float
    halved_below_001: float
    halved_median_p: float

    @property
    def passes(self) -> bool:
        """Whether the shares are within their limits at 200 speakers."""
        return 0.92 <= self.coverage_eer <= 0.98 and 0.02 <= self.null_eer <= 0.08 and self.halved_median_p < 0.01


@dataclass(frozen=True)
class Simulated:
    """A list of trials with scores (trials, models)."""

    scores: NDArray[np.float64]
    is_target: NDArray[np.bool_]
    enroll_speaker: NDArray[np.intp]
    test_speaker: NDArray[np.intp]


def simulate(design: Design, shifts: tuple[float, ...], rng: np.random.Generator) -> Simulated:
    """Return scores of one model for each shift of the target trials."""
    n_trials = design.n_speakers * design.per_speaker
    enroll = np.tile(np.repeat(np.arange(design.n_speakers), design.per_speaker), 2)
    is_target = np.arange(enroll.size) < n_trials
    test = np.where(
        is_target, enroll, (enroll + rng.integers(1, design.n_speakers, size=enroll.size)) % design.n_speakers
    )

    def normal(n: int) -> NDArray[np.float64]:
        own = rng.normal(size=(n, len(shifts)))
        return np.sqrt(SHARED) * rng.normal(size=(n, 1)) + np.sqrt(1 - SHARED) * own

    of_target, of_nontarget, of_trial = (normal(n) for n in (design.n_speakers, design.n_speakers, enroll.size))
    target = TARGET_EFFECT * of_target[enroll] + np.sqrt(1 - TARGET_EFFECT**2) * of_trial + shifts
    both = (of_nontarget[enroll] + of_nontarget[test]) / np.sqrt(2)
    nontarget = NONTARGET_EFFECT * both + np.sqrt(1 - NONTARGET_EFFECT**2) * of_trial
    return Simulated(np.where(is_target[:, None], target, nontarget), is_target, enroll, test)


def true_rates(n_trials: int) -> tuple[float, float, float]:
    """Return EER and minDCF at the shift, and the EER at the halving shift, of ``n_trials`` trials of new speakers."""
    rng = np.random.default_rng(0)
    of_speaker, of_trial = rng.normal(size=(2, n_trials // 2))
    target = TARGET_EFFECT * of_speaker + np.sqrt(1 - TARGET_EFFECT**2) * of_trial
    first, second, of_trial = rng.normal(size=(3, n_trials // 2))
    both = (first + second) / np.sqrt(2)
    nontarget = NONTARGET_EFFECT * both + np.sqrt(1 - NONTARGET_EFFECT**2) * of_trial
    is_target = np.arange(n_trials) < n_trials // 2
    scores, halved = np.append(target + SHIFT, nontarget), np.append(target + HALVING_SHIFT, nontarget)
    return (
        equal_error_rate(scores, is_target),
        min_dcf(scores, is_target, p_target=P_TARGET),
        equal_error_rate(halved, is_target),
    )


def repeat(seed: int, *, design: Design, shifts: tuple[float, ...], n_resamples: int) -> tuple[float, ...]:
    """Return the interval of EER and of minDCF of one model, or the p-value of both of two models."""
    trials = simulate(design, shifts, np.random.default_rng([seed, design.n_speakers, design.per_speaker]))
    arrays = trials.scores, trials.is_target, trials.enroll_speaker, trials.test_speaker
    resamples = bootstrap_speakers(*arrays, p_targets=[P_TARGET], n_resamples=n_resamples, seed=seed)
    eers = [equal_error_rate(column, trials.is_target) for column in trials.scores.T]
    costs = [min_dcf(column, trials.is_target, p_target=P_TARGET) for column in trials.scores.T]
    if len(shifts) == 1:
        counts = {"n_speakers": design.n_speakers}
        return (
            *rate_interval(resamples.eer[:, 0], eers[0], **counts),
            *rate_interval(resamples.min_dcf[:, 0, 0], costs[0], **counts),
        )
    return (
        p_value(resamples.eer[:, 1] - resamples.eer[:, 0], eers[1] - eers[0]),
        p_value(resamples.min_dcf[:, 1, 0] - resamples.min_dcf[:, 0, 0], costs[1] - costs[0]),
    )


def check(design: Design, true: tuple[float, float], arguments: argparse.Namespace, pool: ProcessPoolExecutor) -> Row:
    """Return the shares for one design."""

    def run(shifts: tuple[float, ...], seeds: Iterable[int]) -> NDArray[np.float64]:
        one = partial(repeat, design=design, shifts=shifts, n_resamples=arguments.resamples)
        return np.array(list(pool.map(one, seeds, chunksize=5)))

    intervals = run((SHIFT,), range(arguments.repetitions))
    same = run((SHIFT, SHIFT), range(1_000_000, 1_000_000 + arguments.comparisons))
    halved = run((SHIFT, HALVING_SHIFT), range(2_000_000, 2_000_000 + arguments.halvings))
    return Row(
        design.n_speakers,
        design.per_speaker,
        float(np.mean((intervals[:, 0] <= true[0]) & (true[0] <= intervals[:, 1]))),
        float(np.mean((intervals[:, 2] <= true[1]) & (true[1] <= intervals[:, 3]))),
        *(float(share) for share in np.mean(same <= 0.05, axis=0)),
        float(np.mean(halved[:, 0] < 0.01)),
        float(np.median(halved[:, 0])),
    )


def show(row: Row) -> str:
    """Return a row of the table."""
    shares = (row.coverage_eer, row.coverage_min_dcf, row.null_eer, row.null_min_dcf, row.halved_below_001)
    cells = [str(row.n_speakers), str(row.per_speaker), *(f"{share:.1%}" for share in shares)]
    return "| " + " | ".join([*cells, f"{row.halved_median_p:.1e}"]) + " |"


def main() -> int:
    """Print the table; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--speakers", nargs="+", type=int, default=[200, 40], help="speakers of a list")
    parser.add_argument("--per-speaker", nargs="+", type=int, default=[10, 40], help="trials of each kind, by speaker")
    parser.add_argument("--repetitions", type=int, default=1000, help="lists whose intervals are looked at")
    parser.add_argument("--comparisons", type=int, default=500, help="lists on which two models do not differ")
    parser.add_argument("--halvings", type=int, default=100, help="lists on which the second model halves the EER")
    parser.add_argument("--resamples", type=int, default=1000, help="resamples of each list")
    parser.add_argument("--population", type=int, default=10**7, help="trials from which the true rates come")
    parser.add_argument("--processes", type=int, default=2, help="lists at a time")
    parser.add_argument("--json", action="store_true", help="print JSON in place of the table")
    arguments = parser.parse_args()
    eer, cost, halved = true_rates(arguments.population)
    columns = ["speakers", "trials of each kind a speaker", "EER held", "minDCF held"]
    columns += ["no difference: EER p ≤ 0.05", "minDCF p ≤ 0.05", "EER halved: p < 0.01", "median p"]
    if not arguments.json:
        print(f"True EER {eer:.3%} (halved: {halved:.3%}), true minDCF({P_TARGET}) {cost:.4f}.\n")
        print("| " + " | ".join(columns) + " |\n" + "|---" * len(columns) + "|", flush=True)
    rows = []
    with ProcessPoolExecutor(arguments.processes) as pool:
        for n_speakers, per_speaker in product(arguments.speakers, arguments.per_speaker):
            rows.append(check(Design(n_speakers, per_speaker), (eer, cost), arguments, pool))
            if not arguments.json:
                print(show(rows[-1]), flush=True)
    if arguments.json:
        found = {"eer": eer, "min_dcf": cost, "halved_eer": halved, "rows": [asdict(row) for row in rows]}
        print(json.dumps(found, indent=2))
    return int(not all(row.passes for row in rows if row.n_speakers == 200))


if __name__ == "__main__":
    sys.exit(main())

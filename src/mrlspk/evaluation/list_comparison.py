"""Compare models on the same trial lists, with Holm's correction over all differences."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from mrlspk.data.trials import OfficialMatch
from mrlspk.errors import DataError, UsageError
from mrlspk.evaluation.paired_comparison import ComparedWidth, Difference, compare_systems
from mrlspk.evaluation.run_checkpoints import RunCheckpoint
from mrlspk.evaluation.score_files import ListScores, ScoredAs
from mrlspk.evaluation.scored_trials import IntervalNote, Resampling, describe_intervals
from mrlspk.evaluation.trial_list import MissingAudio
from mrlspk.metrics.significance import holm


@dataclass(frozen=True)
class ComparedTrials:
    """All models on one trial list; the attributes are those of `ListReport`."""

    path: str
    sha256: str
    official: OfficialMatch | None
    source: str
    n_target: int
    n_nontarget: int
    n_speakers: int
    missing: MissingAudio | None
    intervals: IntervalNote
    results: tuple[ComparedWidth, ...]


@dataclass(frozen=True)
class ComparisonReport:
    """Two or more models, in the order given, on one or more trial lists.

    Attributes:
        models: Names.
        fingerprints: Of each model's weights, by name.
        scored_as: How each model's scores were made, by name.
        dims: Widths compared, rising.
        p_target: Prior of the detection cost.
        resampling: How speakers are resampled.
        run: The run whose checkpoints the models are, by epoch.
        trials: By list, in order.
    """

    models: tuple[str, ...]
    fingerprints: dict[str, str]
    scored_as: dict[str, ScoredAs]
    dims: tuple[int, ...]
    p_target: float
    resampling: Resampling
    run: tuple[RunCheckpoint, ...]
    trials: tuple[ComparedTrials, ...]


def common_dims(dims_by_model: Mapping[str, Sequence[int]]) -> tuple[int, ...]:
    """Return the widths, rising, that every model was trained for.

    Raises:
        UsageError: If there is none.
    """
    common = set.intersection(*(set(dims) for dims in dims_by_model.values()))
    if not common:
        widths = "; ".join(f"{model}: {', '.join(map(str, dims))}" for model, dims in dims_by_model.items())
        narrowest = min(dims[-1] for dims in dims_by_model.values())
        fix = f"Give `dims={narrowest}` and `allow_untrained_dim` to compare the first {narrowest} values of each."
        raise UsageError(f"the models share no width ({widths})", fix=fix, parameter="dims")
    return tuple(sorted(common))


def compare_scores(
    by_model: Mapping[str, Sequence[ListScores]],
    dims: Sequence[int],
    p_target: float,
    resampling: Resampling,
    *,
    neighbours: bool = False,
) -> tuple[ComparedTrials, ...]:
    """Return how the models differ, list by list.

    Args:
        by_model: The same lists of each model, in the same order.
        dims: Widths that all of them have.
        p_target: Prior of the detection cost.
        resampling: How speakers are resampled.
        neighbours: Pair each model with the next one only, as checkpoints of a run; otherwise every two.

    Raises:
        DataError: If the models were scored on different lists.
    """
    _check_same_lists(by_model)
    compared = []
    for lists in zip(*by_model.values(), strict=True):
        scores = dict(zip(by_model, lists, strict=True))
        compared.append(_compare_list(scores, dims, p_target, resampling, neighbours=neighbours))
    return _with_holm(compared)


def _check_same_lists(by_model: Mapping[str, Sequence[ListScores]]) -> None:
    (first, expected), *others = by_model.items()
    for model, lists in others:
        if len(lists) != len(expected):
            raise DataError(
                f"was scored on {len(lists)} lists, {first} on {len(expected)}", model, "Score both on the same lists."
            )
        for mine, theirs in zip(lists, expected, strict=True):
            if not mine.same_trials(theirs):
                raise DataError(
                    f"was scored on {mine.describe()}, {first} on {theirs.describe()}",
                    model,
                    "Metrics of different trials cannot be compared; score both on the same lists.",
                )


def _compare_list(
    by_model: Mapping[str, ListScores],
    dims: Sequence[int],
    p_target: float,
    resampling: Resampling,
    *,
    neighbours: bool,
) -> ComparedTrials:
    first = next(iter(by_model.values()))
    trials = first.scored
    note = describe_intervals(trials, resampling, speakers_from=first.speakers_from)
    widths = compare_systems(
        {model: each.scored.at(dims) for model, each in by_model.items()},
        p_targets=[p_target],
        resampling=None if note.note else resampling,
        neighbours=neighbours,
    )
    return ComparedTrials(
        path=first.path,
        sha256=first.sha256,
        official=first.official,
        source=first.source,
        n_target=trials.n_target,
        n_nontarget=trials.n_nontarget,
        n_speakers=trials.n_speakers,
        missing=first.missing,
        intervals=note,
        results=widths,
    )


def _with_holm(compared: Sequence[ComparedTrials]) -> tuple[ComparedTrials, ...]:
    """Return the same with Holm's correction over all comparisons of equal error rates."""
    pairs = [pair for trials in compared for width in trials.results for pair in width.pairs]
    values = [pair.p_value for pair in pairs if pair.p_value is not None]
    corrected = iter(holm(values))

    def correct(pair: Difference) -> Difference:
        return pair if pair.p_value is None else replace(pair, p_holm=next(corrected))

    return tuple(
        replace(
            trials,
            results=tuple(replace(width, pairs=tuple(map(correct, width.pairs))) for width in trials.results),
        )
        for trials in compared
    )

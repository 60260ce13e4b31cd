"""Show how models differ on the same trials."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import RenderableType

from mrlspk.cli import output
from mrlspk.cli.output import percent
from mrlspk.cli.trial_options import heading

if TYPE_CHECKING:
    from mrlspk.evaluation.list_comparison import ComparedTrials, ComparisonReport
    from mrlspk.evaluation.paired_comparison import ComparedWidth, Difference

MOST_PAIRS = 6  # of models whose differences are shown


def comparison_tables(report: "ComparisonReport") -> Iterator[RenderableType]:
    """Yield the tables; models are called A, B … in the given order, and their difference B − A."""
    names = _short_names(report)
    width = max(map(len, names.values()))
    yield "\n".join(f"{short:<{width}}  {_named(report, model)}" for model, short in names.items())
    for trials in report.trials:
        yield ""
        yield heading(trials)
        if report.run:
            yield _epoch_table(trials, names)
            yield "differences of neighbouring checkpoints: --json or --report DIR"
        else:
            twins = {model for model in report.models if _twin(report, model)}
            yield from _tables(
                trials, names, [each for each in trials.results[0].pairs if not {each.a, each.b} & twins]
            )
            yield _note(trials)


def _short_names(report: "ComparisonReport") -> dict[str, str]:
    """Return the short name of each model: A, B … Z, M27 …, the epoch, or of a head run what the file holds."""
    from mrlspk.evaluation.run_checkpoints import CANDIDATES

    if report.run:
        return {str(each.path): str(each.epoch) for each in report.run}
    paths = list(map(Path, report.models))
    if len({path.parent for path in paths}) == 1 and {path.name for path in paths} <= {f"{it}.pt" for it in CANDIDATES}:
        return {model: path.stem for model, path in zip(report.models, paths, strict=True)}
    return {model: chr(ord("A") + i) if i < 26 else f"M{i + 1}" for i, model in enumerate(report.models)}


def _identity(report: "ComparisonReport", model: str) -> object:
    """Return what tells a model, scored in its way, from another; one whose weights are not known is like no other."""
    from mrlspk.evaluation.stored_vectors import UNKNOWN

    fingerprint = report.fingerprints[model]
    return model if fingerprint == UNKNOWN else (fingerprint, report.scored_as[model])


def _twin(report: "ComparisonReport", model: str) -> str | None:
    """Return the first model before this one that is the same; None if there is none."""
    before = report.models[: report.models.index(model)]
    return next((each for each in before if _identity(report, each) == _identity(report, model)), None)


def _named(report: "ComparisonReport", model: str) -> str:
    twin = _twin(report, model)
    return f"{model} (the scores of {Path(twin).name})" if twin else model


def _tables(
    trials: "ComparedTrials", names: Mapping[str, str], pairs: "Sequence[Difference]"
) -> Iterator[RenderableType]:
    """Yield EERs with the difference of two models beside them; of more models, the differences in a second table."""
    first, shown = trials.results[0], [(pair.a, pair.b) for pair in pairs]
    beside = shown if len(first.models) == 2 else []
    columns = ["width", *(f"EER % {names[model]}" for model in first.models)]
    if beside:
        a, b = (names[each] for each in beside[0])
        columns += _difference_columns(pairs[0], f"{b} − {a}", f"{b} ")
    rows = ((width.dim, *_eers(width), *_cells(width, beside), _winner(width, names)) for width in trials.results)
    yield output.table(None, (*columns, "winner"), rows)
    if beside or not shown:
        return
    if len(shown) > MOST_PAIRS:
        yield "differences of the models: --json or --report DIR"
        return
    yield ""
    by_pair = (
        (f"{names[b]} − {names[a]}", width.dim, *_cells(width, [(a, b)])) for a, b in shown for width in trials.results
    )
    yield output.table(None, ("difference", "width", *_difference_columns(pairs[0], "EER %")), by_pair)


def _difference_columns(pair: "Difference", name: str, of: str = "") -> tuple[str, ...]:
    if pair.delta_ci is not None:
        return name, "95 %", "p"
    return (name, f"{of}better/worse/equal") if pair.signs is not None else (name,)


def _eers(width: "ComparedWidth") -> Iterator[str]:
    return (percent(metrics.eer) for metrics in width.models.values())


def _winner(width: "ComparedWidth", names: Mapping[str, str]) -> str:
    return names[width.winner] if width.winner else "–"


def _cells(width: "ComparedWidth", shown: "Sequence[tuple[str, str]]") -> Iterator[str]:
    """Yield the difference of each pair that is shown, and what says whether it is chance."""
    for pair in (each for each in width.pairs if (each.a, each.b) in shown):
        yield f"{100 * pair.delta_eer:+.2f}"
        if pair.delta_ci is not None and pair.p_value is not None:
            yield "{:+.2f} {:+.2f}".format(*(100 * end for end in pair.delta_ci))
            yield f"{pair.p_value:.3f}"
        elif pair.signs is not None:
            yield f"{pair.signs.fewer}/{pair.signs.more}/{pair.signs.equal}"


def _epoch_table(trials: "ComparedTrials", names: Mapping[str, str]) -> RenderableType:
    columns = ["epoch", *(f"EER % {width.dim}" for width in trials.results)]
    rows = [
        (names[model], *(percent(width.models[model].eer) for width in trials.results))
        for model in trials.results[0].models
    ]
    return output.table(None, columns, rows)


def _note(trials: "ComparedTrials") -> str:
    n_tests = sum(pair.p_value is not None for width in trials.results for pair in width.pairs)
    if trials.intervals.note:
        signs = any(pair.signs for width in trials.results for pair in width.pairs)
        counts = "; better/worse/equal: speakers with fewer, more and as many errors" if signs else ""
        return f"no intervals and no winner: {trials.intervals.note}{counts}"
    intervals = f"95 % intervals over {trials.intervals.n_speakers} speakers"
    if n_tests < 2:
        return intervals
    return f"{intervals}; {n_tests} tests: p_holm in --json corrects for all of them"

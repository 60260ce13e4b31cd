"""Show how a run ended: the verdict in plain words, the EER of each width, the files, and the next command."""

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import RenderableType

from mrlspk.cli import output
from mrlspk.cli.output import percent
from mrlspk.cli.width_plot import width_plot

if TYPE_CHECKING:
    from mrlspk.models.checkpoints.model_card import RefitCard
    from mrlspk.training.head.verdict import Candidate, Comparison, DomainVerdict, DomainWidth, Verdict
    from mrlspk.workflows.train import TrainReport

NOT_THERE = "–"


def train_summary(report: "TrainReport", page: Path | None = None) -> Iterator[RenderableType]:
    """Yield the end of a run, piece by piece; ``page`` is that of the run, if it was written."""
    if report.verdict is not None:
        yield from _verdict(report.verdict)
    else:
        yield _best_epoch(report)
    if report.refit is not None:
        yield ""
        yield _refit(report, report.refit)
    scored = report.refit.held_out_model if report.refit is not None else report.best_checkpoint.name
    yield ""
    yield f"EER % by width, {scored} on held-out speakers"
    yield "\n".join(width_plot(_bars(report)))
    yield ""
    yield f"best checkpoint: {report.best_checkpoint}"
    yield f"last checkpoint: {report.last_checkpoint}{_of_last(report)}"
    if page is not None:
        yield f"report: {page}"
    yield ""
    yield "\n".join(_next_commands(report))


def _verdict(verdict: "Verdict") -> Iterator[RenderableType]:
    """Yield two sentences and a table of the published widths."""
    from mrlspk.training.head.verdict_words import comparison_at, explain

    yield " ".join(explain(verdict))
    yield ""
    candidates = tuple(verdict.domains[0].widths[0].eer)
    widths = [(domain, width) for domain in verdict.domains for width in domain.widths if width.published]
    pairs = [comparison_at(width, verdict) for _, width in widths]
    evidence = ["95 %"] if any(pair.delta_ci for pair in pairs) else []
    evidence += ["p"] if any(pair.delta_ci is None for pair in pairs) else []
    difference = f"trained − {verdict.against}"
    yield output.table(
        "EER % on held-out speakers; verdict on the trained head",
        ("width", *candidates, difference, *evidence, "verdict"),
        (_row(*place, pair, candidates, evidence) for place, pair in zip(widths, pairs, strict=True)),
    )


def _row(
    domain: "DomainVerdict",
    width: "DomainWidth",
    pair: "Comparison",
    candidates: "Sequence[Candidate]",
    evidence: Sequence[str],
) -> Iterator[str]:
    from mrlspk.training.head.verdict_words import WORDS

    yield f"{domain.domain}, {width.dim}" if domain.domain else str(width.dim)
    for name in candidates:
        yield percent(width.eer[name])
    yield f"{100 * pair.delta_eer:+.2f}"
    if "95 %" in evidence:
        yield NOT_THERE if pair.delta_ci is None else "{:+.2f} … {:+.2f}".format(*(100 * end for end in pair.delta_ci))
    if "p" in evidence:
        yield NOT_THERE if pair.p_value is None else f"{pair.p_value:.3f}"
    yield WORDS[pair.outcome] + ("" if domain.decides else " (few speakers: does not decide)")


def _best_epoch(report: "TrainReport") -> str:
    """Return which epoch the best checkpoint is of."""
    if not report.epochs:
        return f"nothing was trained: {report.best_checkpoint.name} is the rotation"
    averaged = f"the mean of epochs {', '.join(map(str, report.averaged_epochs))}" if report.averaged_epochs else ""
    return f"best of {report.epochs} epochs: {averaged or f'epoch {report.best_epoch}'}, by {report.best_by}"


def _refit(report: "TrainReport", refit: "RefitCard") -> str:
    """Return which model the figures are of, after the best checkpoint was fitted to all speakers."""
    return (
        f"All figures are of held-out speakers, and of {refit.held_out_model}, which has not seen them. After that, "
        f"{report.best_checkpoint.name} was fitted again to all {refit.speakers} speakers."
    )


def _bars(report: "TrainReport") -> dict[str, float]:
    """Return the EER of each width, and of the model's own embedding to compare with."""
    bars = {str(dim): eer for dim, eer in report.best.items()}
    if report.baselines is not None:
        bars[f"own, {report.baselines.own_dim} values"] = report.baselines.own
    return bars


def _of_last(report: "TrainReport") -> str:
    """Return what the last checkpoint is of, if the best one is something else."""
    if report.verdict is None or not report.epochs:
        return ""
    chosen = "" if report.verdict.kept == "trained" else ", which was not chosen"
    return f" (the trained head after epoch {report.epochs}{chosen}; to resume from)"


def _next_commands(report: "TrainReport") -> Iterator[str]:
    vectors = _scored_vectors(report.vectors)
    yield f"To evaluate: mrlspk eval {_quoted(report.best_checkpoint)}{vectors}"
    if report.verdict is not None:
        yield f"To compare the candidates: mrlspk compare {_quoted(report.run_dir)}{vectors}"


def _scored_vectors(files: Sequence[Path]) -> str:
    """Return the flags that are needed after a run whose validation trials are of these files of vectors."""
    if len(files) > 1:
        return " --vectors FILE --trials FILE"  # one file is scored at a time
    return f" --vectors {_quoted(files[0])}" if files else ""


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))

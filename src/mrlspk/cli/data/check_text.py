"""Show what ``mrlspk data check`` found: tables, and the JSON document."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.console import RenderableType

from mrlspk.cli import output
from mrlspk.cli.next_commands import after_check
from mrlspk.cli.options import model_entry
from mrlspk.cli.problem_tables import problem_tables

if TYPE_CHECKING:
    from mrlspk.data.problems import Problem
    from mrlspk.inference.model_file import ModelFile
    from mrlspk.workflows.check_data import CorpusReport


def check_payload(report: "CorpusReport", model: "ModelFile | None") -> dict[str, Any]:
    """Return the keys of the JSON document."""
    from mrlspk.data.checks.contents import spread
    from mrlspk.data.checks.summary import problem_summary

    return {
        "path": str(report.path),
        "corpus": report.corpus,
        "speakers": report.speakers,
        "utterances": report.utterances,
        **({} if report.seconds is None else {"seconds": report.seconds}),
        "decoded": report.decoded,
        "contents": {"files_per_speaker": spread(report.files_per_speaker)} | report.contents.values(),
        "problems": [_problem_entry(problem) for problem in report.problems],
        "kinds": problem_summary(report.problems),
        "ignored": dict(report.ignored),
        "ok": report.ok,
        "left_out": [each.entry() for each in report.left_out],
        **({} if report.needs is None else asdict(report.needs)),
        **({} if model is None else {"model": model_entry(model)}),
        **({} if report.voices is None else {"voices": report.voices.entry()}),
    }


def _problem_entry(problem: "Problem") -> dict[str, str]:
    from mrlspk.data.checks.kinds import kind_of

    return {**asdict(problem), "fix": kind_of(problem.kind).fix}


def check_tables(report: "CorpusReport") -> Iterator[RenderableType]:
    """Yield the counts, the problems, what to do about them and what to type next."""
    length = [] if report.seconds is None else [("hours", f"{report.seconds / 3600:.2f}")]
    counts = [("speakers", report.speakers), ("utterances", report.utterances), *length, ("decoded", report.decoded)]
    yield output.table(str(report.path), [name for name, _ in counts], [[value for _, value in counts]])
    if needs := report.needs:
        yield f"{needs.model}: at least {needs.min_samples:,} samples at {needs.sample_rate:,} Hz"
    yield from _voices(report)
    yield ""
    yield from problem_tables(report.problems)
    if report.ignored:
        yield "ignored: " + ", ".join(f"{kind} {count:,}" for kind, count in report.ignored.items())
    yield from _fixes(report.problems)
    yield from after_check(report)


def _fixes(problems: Sequence["Problem"]) -> Iterator[RenderableType]:
    """Yield a table of what to do about each kind of problem."""
    from mrlspk.data.checks.kinds import kind_of

    if problems:
        counts = Counter(problem.kind for problem in problems)
        yield ""
        yield output.table(
            None, ("kind", "n", "what to do"), ((kind, n, kind_of(kind).fix) for kind, n in counts.items())
        )


def _voices(report: "CorpusReport") -> Iterator[RenderableType]:
    """Yield how many utterances were compared, and from where on there are two voices."""
    if report.voices is None:
        return
    line = f"voices: {report.voices.n_embedded:,} utterances compared"
    if (found := report.voices.found) and found.two_voices:
        line += f"; two voices below {found.two_voices.threshold:.2f} of the likeness of one"
    yield line

"""``mrlspk index search``: find the nearest voices."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import RenderableType

from mrlspk.cli import output
from mrlspk.cli.index.answers import candidate_table, warn_once
from mrlspk.cli.index.opening import open_index
from mrlspk.cli.index.options import IndexFolder, IndexModel, QueryChannel, SearchedDim, VectorsInPlace, Where
from mrlspk.cli.index.voice_text import shortlist_text
from mrlspk.cli.options import MOST, AsJson, Debug, Device, Quiet, TrustCode
from mrlspk.cli.panels import Panel, option
from mrlspk.cli.vectors import IdsPath
from mrlspk.errors import DataError

if TYPE_CHECKING:
    from mrlspk.index.results import SearchResult
    from mrlspk.workflows.voice_index.search import IndexSearch


def search_command(
    folder: IndexFolder,
    audio: Annotated[list[str] | None, typer.Argument(metavar="AUDIO", help="Recordings.")] = None,
    *,
    vectors: VectorsInPlace = None,
    ids: IdsPath = None,
    channel: QueryChannel = None,
    k: Annotated[int, option(Panel.SCORING, "-k", min=1, max=MOST, metavar="<n>", help="Voices to find.")] = 10,
    dim: SearchedDim = None,
    where: Where = None,
    exact: Annotated[bool, option(Panel.SCORING, "--exact", help="Compare every voice, without a shortlist.")] = False,
    explain: Annotated[
        bool, option(Panel.OUTPUT, "--explain", help="Tell bytes and time of each stage, and the recall on a sample.")
    ] = False,
    model: IndexModel = None,
    trust_code: TrustCode = False,
    device: Device = "auto",
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,  # noqa: ARG001 - its callback does the work
) -> None:
    """Find the voices nearest to recordings or vectors.

    It takes no decision: see `mrlspk index identify`. Several recordings are searched in one batch.

    Example:
        mrlspk index search voices/ call.wav -k 5
        mrlspk index search voices/ --vectors calls.npz --explain
    """
    from mrlspk.config.base import channel_number
    from mrlspk.workflows.voice_index.queries import check_given, take_queries
    from mrlspk.workflows.voice_index.search import search_index

    check_given(audio or (), vectors, ids, channel)
    taken = None if channel is None else channel_number(channel)
    with open_index(folder, model=model, device=device, trust_code=trust_code, quiet=quiet) as index:
        queries = take_queries(index, audio or (), vectors, ids)
        report = search_index(index, queries, channel=taken, k=k, dim=dim, where=where, exact=exact, explain=explain)
    if len(report.found) == 1 and report.found[0].error is not None:
        raise report.found[0].error
    warn_once((each.query, text) for each in report.found for text in each.query.warnings)
    output.show("index search", _payload(report), _human(report, k), as_json=as_json)
    failed = [str(each.error) for each in report.found if each.error is not None]
    if failed:
        head = f"{len(failed)} of {len(report.found)} recordings could not be embedded:"
        raise DataError("\n".join([head, *failed]))


def _payload(report: "IndexSearch") -> dict[str, Any]:
    entries = [_entry(each) for each in report.found]
    first = report.found[0]
    payload: dict[str, Any] = {"dim": first.dim, "voices": first.voices}
    if len(entries) == 1:
        payload |= {"results": entries[0]["results"]}
    payload |= {"queries": entries}
    if report.explained is not None:
        stages = [
            {
                "dim": each.dim,
                "type": each.type,
                "candidates": each.candidates,
                "bytes": each.bytes,
                "seconds": each.seconds,
            }
            for each in first.stages
        ]
        payload |= {"stages": stages, "recall": report.explained.recall, "recall_queries": report.explained.queries}
    return payload


def _entry(found: "SearchResult") -> dict[str, Any]:
    return {
        "source": found.query.source,
        "results": [{"name": each.name, "score": each.score} for each in found.results],
        "speech_seconds": found.query.speech_seconds,
        "error": found.error and str(found.error),
    }


def _human(report: "IndexSearch", k: int) -> Iterator[RenderableType]:
    if k == 1 and len(report.found) > 1:
        yield output.table(None, ("query", "voice", "score"), map(_best_row, report.found))
    else:
        yield from _tables(report.found)
    if report.explained is not None:
        yield ""
        yield from _explanation(report)


def _best_row(found: "SearchResult") -> tuple[str, str, str]:
    best = [(each.name, f"{each.score:.4f}") for each in found.results] or [(_nothing(found), "")]
    return (found.query.source or "", *best[0])


def _tables(searched: "Sequence[SearchResult]") -> Iterator[RenderableType]:
    for number, found in enumerate(searched):
        if len(searched) > 1:
            yield f"{found.query.source}" if number == 0 else f"\n{found.query.source}"
        yield candidate_table(found.results) if found.results else _nothing(found)


def _nothing(found: "SearchResult") -> str:
    return "cannot be embedded" if found.error is not None else "no voice fits the filter, or the index is empty"


def _explanation(report: "IndexSearch") -> Iterator[RenderableType]:
    stages, explained = report.found[0].stages, report.explained
    rows = [
        (
            shortlist_text(each),
            f"{each.candidates:,}",
            f"{each.bytes:,}",
            f"{1000 * each.seconds:.2f}",
        )
        for each in stages
    ]
    yield output.table(None, ("stage", "compared", "bytes read", "ms"), rows)
    if explained is not None and explained.recall is not None:
        yield f"recall: {explained.recall:.4f}, on noisy copies of {explained.queries:,} voices of the index"

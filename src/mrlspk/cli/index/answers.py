"""Show whose voice a recording is: one plain sentence, then the candidates."""

import logging
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import RenderableType

from mrlspk.cli import output
from mrlspk.cli.index.voice_text import ratio, speech
from mrlspk.index.rate_text import rate_text

if TYPE_CHECKING:
    from mrlspk.cli.tables import FittedTable
    from mrlspk.index.results import Asked, Identification, Match, Verification

log = logging.getLogger("mrlspk.index")

MOST_NAMED = 5  # voices in a sentence


def identification_entry(found: "Identification") -> dict[str, Any]:
    """Return the JSON entry of an identification."""
    return {
        **_query_entry(found.query),
        "decision": found.decision,
        "name": found.name,
        "names": list(found.names),
        "candidates": [match_entry(each) for each in found.candidates],
        "dim": found.dim,
        "voices": found.voices,
        "false_accept_rate": found.false_accept_rate,
        "threshold": found.threshold,
        "undecided": undecided(found),
        "error": found.error and str(found.error),
    }


def warnings_entry(found: "Identification") -> dict[str, Any]:
    """Return the JSON entry of the warnings of one recording among several."""
    return {"warnings": [*found.query.warnings, *found.warnings]}


def verification_entry(found: "Verification") -> dict[str, Any]:
    """Return the JSON entry of a verification."""
    return {
        **_query_entry(found.query),
        "name": found.name,
        "same": found.same,
        "score": found.score,
        "llr": found.llr,
        "dim": found.dim,
        "false_accept_rate": found.false_accept_rate,
        "threshold": found.threshold,
        "undecided": undecided(found),
    }


def warn_once(told: "Iterable[tuple[Asked, str]]") -> None:
    """Warn of recordings; what is told of several, with the first of them."""
    first: dict[str, str] = {}
    for query, text in told:
        first.setdefault(text, query.source or "")
    for text, source in first.items():
        log.warning("%s: %s", source, text)


def match_entry(match: "Match") -> dict[str, Any]:
    """Return the JSON entry of a candidate."""
    return {"name": match.name, "score": match.score, "llr": match.llr}


def _query_entry(query: "Asked") -> dict[str, Any]:
    return {"source": query.source, "seconds": query.seconds, "speech_seconds": query.speech_seconds}


def undecided(found: "Identification | Verification") -> str | None:
    """Return why there is no decision; None if there is one."""
    return found.warnings[0] if found.threshold is None and found.warnings else None


def show_identification(found: "Identification", calibrate: str) -> Iterator[RenderableType]:
    """Yield the answer on one recording, its candidates, and how often a stranger is accepted.

    Args:
        found: The identification.
        calibrate: The command that calibrates the index.
    """
    yield answer(found)
    if found.candidates:
        yield ""
        yield candidate_table(found.candidates)
    yield ""
    yield from _grounds(found, calibrate)


def show_identifications(found: "Sequence[Identification]", calibrate: str) -> Iterator[RenderableType]:
    """Yield a row for each of several recordings, and how often a stranger is accepted."""
    decided = [each for each in found if each.threshold is not None]
    heard = [each for each in found if each.error is None and each.query.speech_seconds != 0]
    needed = ["accepted from"] if decided else []
    columns = ["recording", "answer", "nearest", "score", *needed, "speech"]
    rows = ([_cells(each)[column] for column in columns] for each in found)
    yield output.table(None, columns, rows, dispensable=("nearest", "speech"))
    yield ""
    yield from _grounds((decided or heard or found)[0], calibrate, has_threshold=False)


def show_verification(found: "Verification", calibrate: str) -> Iterator[RenderableType]:
    """Yield the answer on one voice, the score, and how often another speaker is accepted."""
    yield _verified(found)
    llr = [] if found.llr is None else [("LLR", f"{found.llr:+.2f}")]
    yield ""
    yield output.facts([("score", f"{found.score:.4f}"), *llr, ("width", found.dim)])
    yield ""
    yield from _grounds(found, calibrate)


def answer(found: "Identification") -> str:
    """Return the answer in one sentence."""
    if found.decision is None:
        return f"no decision: {undecided(found)}"
    if found.decision == "accept":
        return f"accept {found.names[0]} (likelihood ratio {ratio(found.candidates[0].llr or 0.0)})"
    if found.decision == "ambiguous":
        more = f" and {len(found.names) - MOST_NAMED} more" if len(found.names) > MOST_NAMED else ""
        return f"ambiguous: {', '.join(found.names[:MOST_NAMED])}{more}"
    return "unknown: no voice is near enough" if found.voices else "unknown: no voice was searched"


def _verified(found: "Verification") -> str:
    if found.same is None:
        return f"no decision: {undecided(found)}"
    decision = f"{found.name} is the speaker" if found.same else f"not accepted as {found.name}"
    return f"{decision} (likelihood ratio {ratio(found.llr or 0.0)})"


def candidate_table(matches: "Sequence[Match]") -> "FittedTable":
    """Return the candidates, with ratios if there are any."""
    if all(each.llr is None for each in matches):
        return output.table(None, ("voice", "score"), ((each.name, f"{each.score:.4f}") for each in matches))
    rows = ((each.name, f"{each.score:.4f}", _llr(each)) for each in matches)
    return output.table(None, ("voice", "score", "LLR"), rows)


def _cells(found: "Identification") -> dict[str, object]:
    best = found.candidates[0] if found.candidates else None
    return {
        "recording": found.query.source or "",
        "answer": _short(found),
        "nearest": best.name if best else "",
        "score": f"{best.score:.4f}" if best else "",
        "accepted from": "" if found.threshold is None else f"{found.threshold:.4f}",
        "speech": speech(found.query.speech_seconds),
    }


def _short(found: "Identification") -> str:
    if found.decision is None:
        return "error" if found.error is not None else "no decision"
    return " ".join([found.decision, ", ".join(found.names[:MOST_NAMED])]).strip()


def _llr(match: "Match") -> str:
    return "" if match.llr is None else f"{match.llr:+.2f}"


def _grounds(found: "Identification | Verification", calibrate: str, *, has_threshold: bool = True) -> Iterator[str]:
    """Yield the threshold and how often a stranger is accepted, or how to get decisions."""
    if found.false_accept_rate is not None and found.threshold is not None:
        n_voices = getattr(found, "voices", 1)
        if has_threshold:
            yield f"accepted from a score of {found.threshold:.4f} on, at width {found.dim}"
        yield false_accepts(found.false_accept_rate, n_voices)
    elif found.query.speech_seconds != 0:
        yield f"To get decisions: {calibrate}"


def false_accepts(rate: float, n_voices: int) -> str:
    """Return how often a search over some voices accepts a stranger, and how often one voice does."""
    if n_voices <= 1:
        return f"false accepts: {rate_text(rate)} of strangers"
    each = 1 - (1 - rate) ** (1 / n_voices)
    return f"false accepts: {rate_text(rate)} of strangers over {n_voices:,} voices, {rate_text(each)} for each voice"

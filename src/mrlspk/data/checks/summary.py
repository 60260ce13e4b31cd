"""Summarise the problems of a corpus by kind, and choose those for which an utterance is left out."""

from collections import Counter
from collections.abc import Collection, Iterable
from typing import Any

from mrlspk.data.checks.kinds import kind_of
from mrlspk.data.problems import Problem

SHOWN_PLACES = 5  # of each kind of problem
# Training on such an utterance fails, or teaches a wrong speaker, another one besides, or silence. Others are kept:
# clipped or telephone speech is speech, and for one voice under two speakers the remedy is to join them.
EXCLUDING = frozenset(
    {
        "name",
        "unreadable",
        "broken_link",
        "segment_end",
        "too_short",
        "same_audio",
        "silent",
        "damaged",
        "channels_differ",
        "channels_cancel",
        "two_voices",
    }
)


def problem_summary(problems: Collection[Problem]) -> list[dict[str, Any]]:
    """Return each kind of problem: what it means, its remedy, its threshold, how many there are and the first places.

    Errors come first, then what is most frequent.
    """
    counts = Counter((each.severity, each.kind) for each in problems)
    places: dict[tuple[str, str], list[dict[str, str]]] = {key: [] for key in counts}
    for each in problems:
        if len(first := places[each.severity, each.kind]) < SHOWN_PLACES:
            first.append({"where": each.where, "message": each.message})
    return [
        {
            "kind": kind,
            "severity": severity,
            "count": count,
            "meaning": kind_of(kind).meaning,
            "fix": kind_of(kind).fix,
            "threshold": kind_of(kind).threshold,
            "source": kind_of(kind).source,
            "first": places[severity, kind],
        }
        for (severity, kind), count in sorted(counts.items(), key=lambda item: (item[0][0], -item[1], item[0][1]))
    ]


def excluded_utterances(problems: Collection[Problem], utterance_ids: Iterable[str]) -> dict[str, list[str]]:
    """Return the utterances to leave out, and why: the kinds of their problems, each once."""
    kinds = dict[str, list[str]]()
    for each in problems:
        if each.kind in EXCLUDING and each.kind not in (known := kinds.setdefault(each.where, [])):
            known.append(each.kind)
    return {each: kinds[each] for each in utterance_ids if each in kinds}

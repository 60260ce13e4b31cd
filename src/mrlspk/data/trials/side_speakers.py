"""Speakers as a list itself names them."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from mrlspk.errors import DataError


def side_speakers(sides: Iterable[tuple[Sequence[str], Sequence[str]]], path: Path) -> dict[str, str]:
    """Return the speaker of each id; an empty name is none.

    Args:
        sides: Ids and their speakers, one each.
        path: The list, for messages.

    Raises:
        DataError: If an id has two speakers.
    """
    speaker_by_id: dict[str, str] = {}
    for ids, speakers in sides:
        for id_, speaker in set(zip(ids, speakers, strict=True)) if any(speakers) else ():
            if speaker and speaker_by_id.setdefault(id_, speaker) != speaker:
                both = " and ".join(sorted({speaker, speaker_by_id[id_]}))
                raise DataError(f"{id_} is of two speakers, {both}", path, "Give each utterance one speaker.")
    return speaker_by_id

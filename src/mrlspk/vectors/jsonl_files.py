"""Read files of one JSON object per vector."""

from collections.abc import Generator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from mrlspk.errors import DataError, shorten
from mrlspk.reading import parse_json, reading
from mrlspk.vectors.table import Origin, RecordingFacts, Row, VectorFile, as_widths, gather_blocks

ID_KEYS = "id", "utterance_id"
VECTOR_KEYS = "embedding", "vector"
SAVE = 'Write lines such as {"id": "anna/1", "embedding": [0.1, 0.2]}, as `mrlspk embed -o FILE.jsonl` does.'


def open_jsonl(path: Path) -> VectorFile:
    """Open a file with a JSON object per line: ``id`` or ``utterance_id``, and ``embedding`` or ``vector``.

    Raises:
        DataError: If its first line is not that.
    """
    with reading(path, DataError), path.open("rb") as file:
        first = next((line for line in file if line.strip()), None)
    content = {} if first is None else _parse(first, f"{path}:1")
    fingerprint = content.get("fingerprint")
    detector = str(content["speech_detector"] or "") if "speech_detector" in content else None  # null: none was used
    dims = as_widths(content["dims"], path) if isinstance(content.get("dims"), list) else None
    origin = Origin(fingerprint if isinstance(fingerprint, str) else None, detector, dims)
    facts = (lambda: _facts(path)) if content.keys() >= {"seconds", "speech_seconds", "warnings"} else None
    return VectorFile(path, lambda: gather_blocks(_rows(path), path), origin=origin, facts=facts)


def _lines(path: Path) -> Generator[tuple[str, dict[str, Any]]]:
    with reading(path, DataError), path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                yield f"{path}:{number}", _parse(line, f"{path}:{number}")


def _rows(path: Path) -> Iterator[Row]:
    with closing(_lines(path)) as lines:  # an error in a row closes the file, too
        for where, content in lines:
            yield _row(content, where)


def _facts(path: Path) -> Iterator[RecordingFacts]:
    with closing(_lines(path)) as lines:
        for where, content in lines:
            yield _recording_facts(content, where)


def _recording_facts(content: dict[str, Any], where: str) -> RecordingFacts:
    seconds, speech, warnings = content.get("seconds"), content.get("speech_seconds"), content.get("warnings")
    is_text = isinstance(warnings, list) and all(isinstance(each, str) for each in warnings)
    if not (isinstance(seconds, int | float) and isinstance(speech, int | float | None) and is_text):
        raise DataError("expected numbers as seconds and speech_seconds, and texts as warnings", where, SAVE)
    return RecordingFacts(seconds, speech, tuple(warnings or ()))


def _parse(line: bytes, where: str) -> dict[str, Any]:
    content = parse_json(line, where, DataError, SAVE)
    if not isinstance(content, dict):
        raise DataError(f"expected a JSON object, got {shorten(repr(content), 60)}", where, SAVE)
    return content


def _row(content: dict[str, Any], where: str) -> Row:
    name = next((content[key] for key in ID_KEYS if key in content), None)
    values = next((content[key] for key in VECTOR_KEYS if key in content), None)
    if not isinstance(name, str):
        raise DataError(f"expected a text under the key id, got {_keys(content, name)}", where, SAVE)
    try:
        vector = np.array(values if isinstance(values, list) else None)
    except (ValueError, OverflowError):  # lists of other lengths in the list
        vector = np.array(None)
    if vector.ndim != 1 or vector.dtype.kind not in "fiu":
        raise DataError(f"expected numbers under the key embedding, got {_keys(content, values)}", where, SAVE)
    return name, where, vector.astype(np.float64, copy=False)


def _keys(content: dict[str, Any], value: object) -> str:
    return shorten(f"the keys {', '.join(content)}" if value is None else repr(value), 80)

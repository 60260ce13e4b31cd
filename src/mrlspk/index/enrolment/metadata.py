"""Check the metadata of voices: free keys, each with a text, a number, true, false or null."""

import math
import re
from collections.abc import Mapping

from mrlspk.data.utterance_ids import is_utf8
from mrlspk.errors import UsageError, shorten
from mrlspk.index.where import LARGEST, NAME, is_key

type MetadataValue = str | int | float | bool | None
type VoiceMetadata = Mapping[str, MetadataValue]

_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?")  # as JSON writes one: 007 is a text


def read_value(text: str) -> MetadataValue:
    """Return what a cell of a table means: a number, true, false, or else the text itself."""
    if text.lower() in {"true", "false"}:
        return text.lower() == "true"
    if not _NUMBER.fullmatch(text):
        return text
    number = float(text) if "." in text else int(text)
    return text if abs(number) > LARGEST else number


def check_metadata(metadata: VoiceMetadata) -> dict[str, MetadataValue]:
    """Return a copy of metadata.

    Raises:
        UsageError: If a filter could not name a key, or a value is of another type.
    """
    for key, value in metadata.items():
        if not isinstance(key, str) or not is_key(key) or not is_utf8(key):
            what = f"expected a key without quotes and backslashes, got {shorten(repr(key), 60)}"
            raise UsageError(what, parameter="metadata")
        if key == NAME:
            raise UsageError("name is the name of the voice itself", fix="Use another key.", parameter="metadata")
        if not _is_value(value):
            what = f"expected a text, a finite number, true, false or null as {key}, got {shorten(repr(value), 60)}"
            raise UsageError(what, parameter="metadata")
    return dict(metadata)


def _is_value(value: object) -> bool:
    if isinstance(value, str):
        return is_utf8(value)
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or (isinstance(value, int) and abs(value) <= LARGEST)

"""Write seconds of speech, metadata and likelihood ratios of voices as text."""

import json
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mrlspk.index.funnel.search import Stage
    from mrlspk.index.shortlist import ShortlistSpec

UNKNOWN = "–"
LARGEST_WHOLE = 1e12  # larger ratios are written with an exponent


def speech(seconds: float | None) -> str:
    """Return seconds of speech, from two minutes on as minutes and from two hours on as hours."""
    if seconds is None:
        return UNKNOWN
    for unit, length in (("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * length:
            return f"{seconds / length:,.1f} {unit}"
    return f"{seconds:.1f} s"


def metadata_text(metadata: Mapping[str, Any]) -> str:
    """Return metadata as ``site=north, age=34``."""
    return ", ".join(f"{key}={value_text(value)}" for key, value in metadata.items())


def value_text(value: Any) -> str:
    """Return a value of metadata: a text as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def shortlist_text(spec: "ShortlistSpec | Stage") -> str:
    """Return what a shortlist or a stage of a search compares, as ``512 sign bits`` or ``64 values as int8``."""
    return f"{spec.dim} sign bits" if spec.type == "bits" else f"{spec.dim} values as {spec.type}"


def ratio(llr: float) -> str:
    """Return a likelihood ratio with two digits, as ``7,200`` or ``1/7,200``."""
    size = float(f"{math.exp(min(abs(llr), 60.0)):.2g}")
    inverse = "1/" if llr < 0 and size > 1 else ""
    return inverse + (f"{size:,.0f}" if 10 <= size < LARGEST_WHOLE else f"{size:g}")


def counted(count: int, noun: str) -> str:
    """Return a number with its noun, as ``1 voice`` or ``1,204 voices``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"

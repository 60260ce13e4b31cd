"""Describe the shortlist of an index: the codes that a search scans before it decides at the full width."""

from dataclasses import dataclass
from typing import Literal

type ShortlistType = Literal["bits", "int8", "float32"]

DEFAULT_CANDIDATES = 4000


@dataclass(frozen=True)
class ShortlistSpec:
    """How voices are shortlisted.

    Attributes:
        type: Sign bits of the whole vector after a fixed random rotation, or a prefix as int8 or float32.
        dim: Values that a code is made of: of the whole vector for bits, of a prefix otherwise.
        candidates: Voices of the shortlist that are compared at the full width.
    """

    type: ShortlistType
    dim: int
    candidates: int = DEFAULT_CANDIDATES

"""Describe the shortlist of an index: the codes that a search scans before it decides at the full width."""

from dataclasses import dataclass, replace
from typing import Literal, Self

type ShortlistType = Literal["bits", "int8", "float32"]

DEFAULT_CANDIDATES = 2000
BITS_PER_VALUE = 2


@dataclass(frozen=True)
class ShortlistSpec:
    """How voices are shortlisted.

    Attributes:
        type: Sign bits of the whole vector after fixed random rotations, or a prefix as int8 or float32.
        dim: Values that a code is made of: bits of the whole vector, or the width of the prefix.
        candidates: Voices of the shortlist that are compared at the full width.
    """

    type: ShortlistType
    dim: int
    candidates: int = DEFAULT_CANDIDATES

    @classmethod
    def default(cls, embed_dim: int) -> Self:
        """Return a shortlist that suits vectors of any model: it uses the whole vector, not a prefix."""
        return cls("bits", BITS_PER_VALUE * embed_dim)

    def widest(self, embed_dim: int) -> int:
        """Return the largest ``dim`` that vectors of ``embed_dim`` values allow."""
        return BITS_PER_VALUE * embed_dim if self.type == "bits" else embed_dim

    def narrowed(self, embed_dim: int) -> Self:
        """Return this shortlist for vectors cut to ``embed_dim`` values."""
        return replace(self, dim=min(self.dim, self.widest(embed_dim)))

"""Hold the arrays that a search reads."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrlspk.index.funnel.codes import Codes, Floats, code_columns, code_dtype
from mrlspk.index.shortlist import ShortlistSpec

type Mask = NDArray[np.bool_]
type Slots = NDArray[np.int64]
type VoicesOf = Callable[[Slots], NDArray[np.int64]]
"""Return the voices that slots belong to; a search asks for few slots."""


@dataclass(frozen=True)
class FunnelArrays:
    """Profiles and their codes, one row per slot; memory maps are read in place.

    Attributes:
        profiles: Unit vectors, (slots, embed_dim).
        codes: Their codes as ``codes.encode`` makes them, or None: every search is exact.
        spec: The type and width of the codes, and how many candidates are compared at the full width.
        rotation: The rotations of sign bits.
        removed: True for slots that no search may find.
    """

    profiles: Floats
    codes: Codes | None
    spec: ShortlistSpec
    rotation: Floats | None = None
    removed: Mask | None = None

    def __post_init__(self) -> None:
        expected = (self.slots, code_columns(self.spec))
        if self.codes is not None and (self.codes.shape, self.codes.dtype) != (expected, code_dtype(self.spec)):
            raise ValueError(f"expected codes {expected} of {code_dtype(self.spec)}, got {self.codes.shape}")

    @property
    def slots(self) -> int:
        """The number of rows, removed ones included."""
        return len(self.profiles)

    @property
    def embed_dim(self) -> int:
        """The stored width."""
        return int(self.profiles.shape[1])

    def live(self, allowed: Mask | None = None) -> Mask | None:
        """Return which slots a search may find; None if it may find all."""
        if self.removed is None:
            return allowed
        return ~self.removed if allowed is None else allowed & ~self.removed

    def can_shortlist(self, dim: int) -> bool:
        """Return whether the codes say enough about vectors of ``dim`` values."""
        if self.codes is None:
            return False
        return dim == self.embed_dim if self.spec.type == "bits" else dim >= self.spec.dim

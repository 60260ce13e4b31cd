"""What a configuration file of redimnet-mrl says, and what its program made of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

PUBLISHED_WIDTH = 192  # of every published ReDimNet


@dataclass(frozen=True)
class PredecessorValues:
    """Values by dotted key, as they stand in the file."""

    values: Mapping[str, Any]

    def get(self, key: str) -> Any:
        """Return what the file says of ``key``, None where it says nothing."""
        return self.values.get(key)

    def number(self, key: str) -> float | None:
        """Return the number that the file gives ``key``; None where it gives none, or something else."""
        return as_number(self.values.get(key))

    @property
    def is_whole(self) -> bool:
        """Whether redimnet-mrl could have started from the file: without section ``advanced`` it did not."""
        return any(key.startswith("advanced.") for key in self.values)

    @property
    def from_scratch(self) -> bool:
        """Whether training starts from random weights; a whole file that does not say so says that."""
        return not self.values.get("advanced.use_pretrained", not self.is_whole)

    @property
    def full_width(self) -> int | None:
        """The widest of the widths; None where the file gives none."""
        dims = self.get("model.mrl_dims")
        whole = [dim for dim in dims if isinstance(dim, int)] if isinstance(dims, list) else []
        return max(whole, default=None)

    @property
    def trains_head_alone(self) -> bool:
        """Whether the backbone stays frozen for as long as the run lasts."""
        if self.from_scratch:
            return False
        epochs = self.number("advanced.freeze_backbone_epochs")
        if epochs is None:
            return "advanced.freeze_backbone_epochs" in self.values or not self.is_whole
        limit = self.number("training.num_epochs")
        return epochs >= (9999 if limit is None else min(limit, 9999)) and epochs > 0


def as_number(value: Any) -> float | None:
    """Return a number that is written as one, or as text such as 1e-4, which YAML takes for text; else None."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None

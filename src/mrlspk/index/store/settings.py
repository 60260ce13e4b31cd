"""Define the settings of an index: the model of its vectors, and how recordings and searches are treated."""

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from mrlspk.config.base import Channel, StrictModel
from mrlspk.config.evaluation import SpeechMode
from mrlspk.index.shortlist import ShortlistSpec


class IndexSettings(StrictModel):
    """What holds for all voices of an index.

    Attributes:
        fingerprint: Of the model that embedded the voices; None if that is unknown.
        model: Its name or path, as given.
        embed_dim: Values of a stored vector.
        dims: Widths that decisions can be made at, rising; the last is ``embed_dim``.
        speech: Parts of a recording that are embedded.
        speech_detector: What found them, as the provenance of vectors names it.
        channel: Channel of a recording that is embedded.
        max_seconds: Length that recordings are cut to.
        profiles: Condition profiles of a voice at most; ``auto`` chooses the number by its recordings.
        shortlist: How voices are shortlisted.
        created: Time, ISO 8601.
        mrlspk_version: Version that created the index.
    """

    fingerprint: str | None = None
    model: str | None = None
    embed_dim: int = Field(gt=0)
    dims: tuple[int, ...]
    speech: SpeechMode = "auto"
    speech_detector: str | None = None
    channel: Channel = "mix"
    max_seconds: float | None = None
    profiles: int | Literal["auto"] = "auto"
    shortlist: ShortlistSpec
    created: str
    mrlspk_version: str

    @model_validator(mode="after")
    def check_widths(self) -> Self:
        """Refuse widths that the stored vectors do not have."""
        if list(self.dims) != sorted(set(self.dims)) or self.dims[-1:] != (self.embed_dim,):
            raise ValueError(f"expected rising widths that end in {self.embed_dim}, got {self.dims}")
        widest = self.shortlist.widest(self.embed_dim)
        if not 0 < self.shortlist.dim <= widest:
            raise ValueError(f"expected a shortlist of at most {widest} values, got {self.shortlist.dim}")
        return self

    def with_changes(self, **changes: Any) -> Self:
        """Return these settings with some changed, checked again."""
        return self.model_validate({name: getattr(self, name) for name in type(self).model_fields} | changes)

"""Describe a published corpus: where it comes from, its licence, its layout, and how much is in it."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class PublishedCounts:
    """Number of speakers and utterances of a complete corpus, or of a part of it."""

    speakers: int
    utterances: int


@dataclass(frozen=True)
class CorpusFacts:
    """What is published about a corpus.

    Attributes:
        name: For ``--corpus``, such as ``librispeech``.
        title: As its authors write it.
        paper: Authors, year and place.
        url: Page of the project.
        licence: As the page states it.
        counts: Of each part, by the name for ``--expect``; a part without published counts is absent.
        layout_of: The corpus whose layout and numbers of speakers it continues, if it is not the first.
    """

    name: str
    title: str
    paper: str
    url: str
    licence: str
    counts: Mapping[str, PublishedCounts] = field(default_factory=dict)
    layout_of: str | None = None

    @property
    def family(self) -> str:
        """The name of the layout, which corpora of one project share."""
        return self.layout_of or self.name

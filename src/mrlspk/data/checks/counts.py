"""Compare the size of a corpus with what was published."""

from collections.abc import Iterator

from mrlspk.data.corpora.facts import PublishedCounts
from mrlspk.data.problems import Problem, error
from mrlspk.data.utterances.table import UtteranceTable


def check_counts(utterances: UtteranceTable, name: str, counts: PublishedCounts) -> Iterator[Problem]:
    """Compare speakers and utterances with the published numbers of a corpus."""
    found = len(utterances.speakers)
    if found != counts.speakers:
        yield error("count", name, f"expected {counts.speakers} speakers, got {found}")
    if len(utterances) != counts.utterances:
        yield error("count", name, f"expected {counts.utterances} utterances, got {len(utterances)}")

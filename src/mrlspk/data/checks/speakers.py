"""Check the speakers of a corpus: one with a single file, and one that is in another corpus too."""

from collections.abc import Iterator, Mapping
from itertools import combinations

from mrlspk.data.problems import Problem, error, warning
from mrlspk.data.utterances.table import UtteranceTable


def check_speakers(utterances: UtteranceTable) -> Iterator[Problem]:
    """Find speakers with a single utterance."""
    groups = utterances.by_speaker()
    for speaker, count in zip(groups, groups.sizes(), strict=True):
        if count == 1:
            yield warning("one_file_speaker", speaker, "expected two utterances or more, got one")


def check_overlap(speakers: set[str], others: Mapping[str, set[str]]) -> Iterator[Problem]:
    """Find speakers that are in two corpora, such as training, validation and test.

    Args:
        speakers: Of the corpus that is checked.
        others: Speakers of the other corpora by name.
    """
    for (name, one), (other_name, other) in combinations([("", speakers), *others.items()], 2):
        place = f"in {name} " if name else ""
        for speaker in sorted(one & other):
            yield error(
                "speaker_overlap", speaker, f"expected other speakers {place}than in {other_name}, got the same"
            )

"""Hold the trials of a list, and write them in VoxCeleb's format."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import compress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mrlspk.data.utterance_ids import check_name
from mrlspk.data.utterance_ids import speaker_of as speaker_in_id
from mrlspk.errors import DataError
from mrlspk.files import whole_file


@dataclass(frozen=True, eq=False)
class Trials:
    """Trials in the order of their list.

    Args:
        enroll_ids: Enrolment of each trial: an utterance, or a model of `enrolments`.
        test_ids: Test utterance of each trial.
        is_target: (trials,) True if both sides have the same speaker.
        path: File of the list, or the origin of generated trials.
        sha256: SHA-256 of the file, in hex; for generated trials, of the file that `write_trials` would write.
        enrolments: Utterances of each enrolment model; an enrolment without an entry is an utterance.
        columns: Other columns of a table by name, in lower case with underscores; a value for each trial.
        speaker_by_id: Speakers of utterances and models, if the list or the corpus names them.
        enrolments_sha256: SHA-256 of the file of enrolment models, in hex; None if there was none.
    """

    enroll_ids: tuple[str, ...]
    test_ids: tuple[str, ...]
    is_target: NDArray[np.bool_]
    path: str
    sha256: str
    enrolments: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    speaker_by_id: Mapping[str, str] = field(default_factory=dict)
    enrolments_sha256: str | None = None

    def __len__(self) -> int:
        return len(self.enroll_ids)

    @property
    def n_target(self) -> int:
        """Number of target trials."""
        return int(self.is_target.sum())

    @property
    def n_nontarget(self) -> int:
        """Number of non-target trials."""
        return len(self) - self.n_target

    @cached_property
    def n_repeated(self) -> int:
        """Number of repeated trials; they are kept, and each occurrence counts."""
        return len(self) - len(set(zip(self.enroll_ids, self.test_ids, strict=True)))

    def enroll_utterances(self, enroll_id: str) -> tuple[str, ...]:
        """Return the utterances of an enrolment: one, unless it is a model of several."""
        return self.enrolments.get(enroll_id, (enroll_id,))

    @cached_property
    def utterance_ids(self) -> tuple[str, ...]:
        """The distinct utterances of all trials and their enrolment models, sorted."""
        enrolled = {utterance for enroll_id in {*self.enroll_ids} for utterance in self.enroll_utterances(enroll_id)}
        return tuple(sorted(enrolled.union(self.test_ids)))

    @cached_property
    def speakers(self) -> tuple[str, ...]:
        """The speakers of these utterances, sorted."""
        return tuple(sorted(set(map(self.speaker_of, self.utterance_ids))))

    @cached_property
    def possible_speakers(self) -> frozenset[str]:
        """Every name that the list or an id gives a speaker: more than `speakers` if the two name them differently."""
        return frozenset(self.speaker_by_id.values()).union(map(speaker_in_id, self.utterance_ids))

    def speaker_of(self, utterance_id: str) -> str:
        """Return the speaker of an utterance: as `speaker_by_id` says, or else the first part of its id."""
        return self.speaker_by_id.get(utterance_id) or speaker_in_id(utterance_id)

    def only(self, keep: NDArray[np.bool_]) -> "Trials":
        """Return the trials where ``keep`` (trials,) is true; path and hashes stay those of the whole list."""
        return replace(
            self,
            enroll_ids=tuple(compress(self.enroll_ids, keep)),
            test_ids=tuple(compress(self.test_ids, keep)),
            is_target=self.is_target[keep],
            columns={name: tuple(compress(values, keep)) for name, values in self.columns.items()},
        )


@dataclass(frozen=True, eq=False)
class ParsedTrials:
    """The content of a list in any format, named as in `Trials`.

    Args:
        numbers: Line of each trial; None: each line that is not blank is a trial.
    """

    enroll_ids: Sequence[str]
    test_ids: Sequence[str]
    is_target: NDArray[np.bool_]
    enrolments: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    speaker_by_id: Mapping[str, str] = field(default_factory=dict)
    numbers: Sequence[int] | None = None


def write_trials(trials: Trials, path: Path) -> None:
    """Write a list, whole or not at all, over the file that may be there.

    Raises:
        DataError: If the format cannot hold an enrolment model or a name of the trials.
        MrlspkError: If it cannot be written.
    """
    text = trials_text(trials)
    with whole_file(path, force=True) as partial:
        partial.write_bytes(text.encode())


def trials_text(trials: Trials) -> str:
    """Return the text of a list in VoxCeleb's format.

    Raises:
        DataError: If the format cannot hold an enrolment model or a name of the trials.
    """
    if not trials.enrolments.keys().isdisjoint(trials.enroll_ids):
        raise DataError("a list in VoxCeleb's format cannot hold enrolment models of several utterances", trials.path)
    return format_trials(trials.enroll_ids, trials.test_ids, trials.is_target)


def format_trials(enroll_ids: Sequence[str], test_ids: Sequence[str], is_target: NDArray[np.bool_]) -> str:
    """Return the text of a trial list.

    Raises:
        DataError: If a list cannot hold the name of an utterance.
    """
    for utterance_id in {*enroll_ids, *test_ids}:
        check_name(utterance_id)
    rows = zip(is_target, enroll_ids, test_ids, strict=True)
    return "".join(f"{int(target)} {enroll_id} {test_id}\n" for target, enroll_id, test_id in rows)

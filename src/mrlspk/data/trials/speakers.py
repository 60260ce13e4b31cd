"""Find the speakers of trials: named by the list, or inferred from folders or target trials."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from mrlspk.data.trials.trials import Trials

AGREEMENT = 0.9  # share of target and of non-target trials that must agree with the folders

type Source = Literal["the list", "folders", "target trials"]


@dataclass(frozen=True, eq=False)
class TrialSpeakers:
    """The speakers of trials.

    Args:
        names: The speakers.
        enroll_speaker: (trials,) index into ``names``.
        test_speaker: (trials,) index into ``names``.
        source: Origin of the speakers: names in the list or corpus; folders of the utterances; or target trials:
            utterances that they connect, directly or through others, are one speaker, named as the first of them.
    """

    names: tuple[str, ...]
    enroll_speaker: NDArray[np.int64]
    test_speaker: NDArray[np.int64]
    source: Source

    def only(self, keep: NDArray[np.bool_]) -> "TrialSpeakers":
        """Return the speakers of the trials where ``keep`` (trials,) is true; ``names`` stay."""
        return replace(self, enroll_speaker=self.enroll_speaker[keep], test_speaker=self.test_speaker[keep])


def trial_speakers(trials: Trials) -> TrialSpeakers:
    """Return the speakers: as the list names them if it names all; else by folder; else by target trials.

    The folders of speakers are at the first level at which nine in ten target trials stay in a folder and nine in ten
    non-target trials leave it; every utterance must have a folder there. By target trials, a speaker whose utterances
    they do not connect counts as several.
    """
    enroll, test = _Side(trials.enroll_ids), _Side(trials.test_ids)
    named = trials.speaker_by_id
    if named and all(each in named for side in (enroll, test) for each in side.ids):
        return _by_name(enroll, test, named.__getitem__, named.__getitem__, "the list")
    level = 0
    while folders := _folders_at(level, trials, enroll.ids, test.ids):
        found = _by_name(enroll, test, folders[0].__getitem__, folders[1].__getitem__, "folders")
        if _agree(found, trials.is_target):
            return found
        level += 1
    return _by_target_trials(trials, enroll, test)


class _Side:
    """The distinct ids of one side, and the index of the id of each trial."""

    def __init__(self, ids: Sequence[str]) -> None:
        index = {id_: number for number, id_ in enumerate(dict.fromkeys(ids))}
        self.ids = tuple(index)
        self.of_trial = np.fromiter(map(index.__getitem__, ids), dtype=np.int64, count=len(ids))


def _by_name(
    enroll: _Side, test: _Side, enroll_name: Callable[[str], str], test_name: Callable[[str], str], source: Source
) -> TrialSpeakers:
    sides = [[name(id_) for id_ in side.ids] for side, name in ((enroll, enroll_name), (test, test_name))]
    names = tuple(sorted({*sides[0], *sides[1]}))
    index = {name: number for number, name in enumerate(names)}
    of_enroll, of_test = (np.array([index[name] for name in side], dtype=np.int64) for side in sides)
    return TrialSpeakers(names, of_enroll[enroll.of_trial], of_test[test.of_trial], source)


def _folders_at(
    level: int, trials: Trials, enroll_ids: Sequence[str], test_ids: Sequence[str]
) -> tuple[Mapping[str, str], Mapping[str, str]] | None:
    """Return the folder at ``level`` of each id of both sides; None if an id has none, or a model has several."""
    sides: list[dict[str, str]] = []
    for ids, utterances_of in ((enroll_ids, trials.enroll_utterances), (test_ids, lambda id_: (id_,))):
        folders: dict[str, str] = {}
        for id_ in ids:
            parts = [utterance.split("/") for utterance in utterances_of(id_)]
            names = {part[level] if len(part) > level + 1 else None for part in parts}
            folder = names.pop()
            if folder is None or names:
                return None
            folders[id_] = folder
        sides.append(folders)
    return sides[0], sides[1]


def _agree(speakers: TrialSpeakers, is_target: NDArray[np.bool_]) -> bool:
    same = speakers.enroll_speaker == speakers.test_speaker
    kinds = (same[is_target], ~same[~is_target])
    return all(kind.mean() >= AGREEMENT for kind in kinds if kind.size)


def _by_target_trials(trials: Trials, enroll: _Side, test: _Side) -> TrialSpeakers:
    """Connect the two sides of each target trial, and each enrolment model with its utterances."""
    models = {id_: f"model {id_}" for id_ in enroll.ids if id_ in trials.enrolments}
    utterances = dict.fromkeys((*trials.utterance_ids, *test.ids))
    index = {name: number for number, name in enumerate((*utterances, *models.values()))}
    of_enroll = np.array([index[models.get(id_, id_)] for id_ in enroll.ids], dtype=np.int64)
    of_test = np.array([index[id_] for id_ in test.ids], dtype=np.int64)
    joins = [(of_enroll[enroll.of_trial[trials.is_target]], of_test[test.of_trial[trials.is_target]])]
    members = [(index[name], index[each]) for id_, name in models.items() for each in trials.enrolments[id_]]
    model, member = np.array(members, dtype=np.int64).reshape(-1, 2).T
    joins.append((model, member))
    first, second = (np.concatenate(ends) for ends in zip(*joins, strict=True))
    graph = coo_array((np.ones(first.size, dtype=np.int8), (first, second)), shape=(len(index), len(index)))
    speaker = connected_components(graph, directed=False)[1].astype(np.int64)
    used, renumbered = np.unique(np.concatenate([speaker[of_enroll], speaker[of_test]]), return_inverse=True)
    names = _first_names(used, speaker, tuple(index))
    of_enroll, of_test = np.split(renumbered, [of_enroll.size])
    return TrialSpeakers(names, of_enroll[enroll.of_trial], of_test[test.of_trial], "target trials")


def _first_names(used: NDArray[np.int64], speaker: NDArray[np.int64], ids: Sequence[str]) -> tuple[str, ...]:
    """Return, for each speaker in ``used``, the first of its ids."""
    numbers, first = np.unique(speaker, return_index=True)
    return tuple(ids[first[place]] for place in np.searchsorted(numbers, used))

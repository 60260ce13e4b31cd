"""Draw trials from a corpus."""

import hashlib
from collections import ChainMap
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from mrlspk.data.choices import SameSession
from mrlspk.data.manifest import Manifest
from mrlspk.data.trials.trials import Trials, format_trials
from mrlspk.data.utterance_ids import speaker_of
from mrlspk.errors import DataError

ENUMERATED = 4  # list all pairs of a pool up to this many times the draw; draw from a larger one by rejection

type Pair = tuple[int, int]  # ranks of utterances by id


def generate_trials(
    manifest: Manifest,
    n_trials: int,
    *,
    seed: int,
    path: str,
    same_session: SameSession = SameSession.AVOID,
    match: Mapping[str, str] | None = None,
) -> Trials:
    """Draw trials without repeats, half of them target; fewer if the corpus does not have that many.

    Speakers take turns in target trials. The draw depends only on the utterances, the seed and the last two arguments.

    Args:
        manifest: The corpus.
        n_trials: Number of trials, both kinds together.
        seed: Seed of the draw.
        path: Value of `Trials.path`, e.g. ``generated from DIR``.
        same_session: Whether both sides of a target trial may come from one session.
        match: A value for each speaker, such as the gender; both speakers of a non-target trial have the same value. A
            speaker without a value has target trials only.

    Raises:
        DataError: If the corpus has no such target trial or no such non-target trial.
    """
    voices = _Voices.of(manifest)
    classes = _classes(manifest.speakers, match)
    n_target_pairs = _count_target_pairs(voices, same_session)
    _check_corpus(voices, n_target_pairs, classes, manifest, match)
    rng = np.random.default_rng(seed)
    target = _draw_targets(voices, n_target_pairs, n_trials // 2 or 1, rng, same_session)
    nontarget = _draw_nontargets(voices, classes, n_trials - n_trials // 2, rng)
    enroll_ids, test_ids = (tuple(voices.ids_of(side)) for side in zip(*target, *nontarget, strict=True))
    is_target = np.arange(len(enroll_ids)) < len(target)
    text = format_trials(enroll_ids, test_ids, is_target)
    sha256 = hashlib.sha256(text.encode()).hexdigest()
    named = _unnamed_speakers(manifest, {*enroll_ids, *test_ids})
    return Trials(enroll_ids, test_ids, is_target, path, sha256, speaker_by_id=named)


def join_trials(lists: Sequence[Trials]) -> Trials:
    """Return generated lists as one, of the same path, one after the other."""
    if len(lists) == 1:
        return lists[0]
    enroll_ids = tuple(chain.from_iterable(each.enroll_ids for each in lists))
    test_ids = tuple(chain.from_iterable(each.test_ids for each in lists))
    is_target = np.concatenate([each.is_target for each in lists])
    sha256 = hashlib.sha256(format_trials(enroll_ids, test_ids, is_target).encode()).hexdigest()
    named = ChainMap(*(dict(each.speaker_by_id) for each in lists))
    return Trials(enroll_ids, test_ids, is_target, lists[0].path, sha256, speaker_by_id=dict(named))


@dataclass(frozen=True)
class _Voices:
    """The utterances of each speaker, as their ranks by id.

    Attributes:
        ranks: (utterances,) Those of one speaker are side by side, in the order of the corpus.
        sessions: (utterances,) Number of the session of each.
        bounds: (speakers + 1,) Where the utterances of each speaker begin, and the end of the last.
        ids: The ids of the corpus.
        places: (utterances,) Place of each rank in ``ids``.
    """

    ranks: NDArray[np.int64]
    sessions: NDArray[np.int64]
    bounds: NDArray[np.int64]
    ids: Sequence[str]
    places: NDArray[np.int64]

    @classmethod
    def of(cls, manifest: Manifest) -> "_Voices":
        """Return the voices of a corpus."""
        table, groups = manifest.utterances, manifest.by_speaker()
        places = table.ids.order()
        ranks = np.empty_like(places)
        ranks[places] = np.arange(len(places))
        return cls(ranks[groups.places], table.session_index[groups.places], groups.bounds, table.ids, places)

    @property
    def sizes(self) -> NDArray[np.int64]:
        """Utterances of each speaker, (speakers,)."""
        return np.diff(self.bounds)

    def ids_of(self, ranks: Iterable[int]) -> Iterator[str]:
        """Yield the ids of ranks."""
        return (self.ids[int(self.places[rank])] for rank in ranks)

    def members(self, speaker: int) -> NDArray[np.int64]:
        """Return the ranks of the utterances of a speaker."""
        return self.ranks[self.bounds[speaker] : self.bounds[speaker + 1]]

    def sessions_of(self, speaker: int) -> NDArray[np.int64]:
        """Return the sessions of the utterances of a speaker."""
        return self.sessions[self.bounds[speaker] : self.bounds[speaker + 1]]


def _unnamed_speakers(manifest: Manifest, utterance_ids: Container[str]) -> dict[str, str]:
    """Return the speakers of ``utterance_ids`` if the ids of the corpus do not say them."""
    speakers = [manifest.speakers[index] for index in manifest.speaker_index.tolist()]
    named = zip(manifest.utterance_ids, speakers, strict=True)
    if all(speaker_of(utterance_id) == speaker for utterance_id, speaker in named):
        return {}
    named = zip(manifest.utterance_ids, speakers, strict=True)
    return {utterance_id: speaker for utterance_id, speaker in named if utterance_id in utterance_ids}


def _check_corpus(
    voices: _Voices,
    n_target_pairs: NDArray[np.int64],
    classes: Sequence[NDArray[np.int64]],
    manifest: Manifest,
    match: Mapping[str, str] | None,
) -> None:
    n_speakers = len(manifest.speakers)
    if n_speakers < 2 or voices.sizes.max() < 2:
        found = f"{n_speakers} speakers with {len(manifest.utterances)} utterances"
        fix = "Name a folder with more speakers, or more recordings of them."
        raise DataError(f"trials need two speakers, one of them with two utterances, got {found}", manifest.root, fix)
    if not n_target_pairs.any():
        what = "target trials across sessions need a speaker with two, got one session each"
        raise DataError(what, manifest.root, "Allow both sides of a target trial to be of one session.")
    if all(len(speakers) < 2 for speakers in classes):
        values = sorted({match[speaker] for speaker in manifest.speakers if speaker in match} if match else ())
        what = f"matched non-target trials need two speakers of one value, got {n_speakers} speakers with {values}"
        raise DataError(what, manifest.root, "Name metadata that gives more of these speakers a value.")


def _classes(speakers: Sequence[str], match: Mapping[str, str] | None) -> list[NDArray[np.int64]]:
    """Return the speakers of each value, by index: non-target trials are drawn among them."""
    if match is None:
        return [np.arange(len(speakers))]
    groups: dict[str, list[int]] = {}
    for index, speaker in enumerate(speakers):
        if speaker in match:
            groups.setdefault(match[speaker], []).append(index)
    return [np.array(groups[value]) for value in sorted(groups)]


def _count_target_pairs(voices: _Voices, same_session: SameSession) -> NDArray[np.int64]:
    """Return the number of target trials that each speaker can have, (speakers,)."""
    sizes = voices.sizes
    speakers = np.repeat(np.arange(len(sizes)), sizes)
    order = np.lexsort((voices.sessions, speakers))
    keys = np.stack([speakers, voices.sessions])[:, order]
    starts = np.flatnonzero(np.any(keys[:, 1:] != keys[:, :-1], axis=0, keepdims=True).ravel()) + 1
    of_session = np.diff(starts, prepend=0, append=len(order))  # utterances of each session
    owners = keys[0, np.concatenate([np.zeros(1, np.int64), starts])]
    same = np.zeros_like(sizes)
    np.add.at(same, owners, of_session**2)
    lone = np.bincount(owners, minlength=len(sizes)) == 1
    any_pair = same_session is SameSession.ALLOW
    if same_session is SameSession.AVOID:
        any_pair = lone
    counts: NDArray[np.int64] = (sizes**2 - np.where(any_pair, sizes, same)) // 2
    return counts


def _draw_targets(
    voices: _Voices,
    n_pairs: NDArray[np.int64],
    wanted: int,
    rng: np.random.Generator,
    same_session: SameSession,
) -> list[Pair]:
    """Draw pairs of one speaker; the speakers take turns until their pairs run out."""
    drawn: set[Pair] = set()
    left = n_pairs.copy()
    while left.any() and len(drawn) < wanted:
        for speaker in rng.permutation(np.flatnonzero(left))[: wanted - len(drawn)].tolist():
            while (pair := _draw_target(voices, speaker, rng, same_session)) in drawn:
                continue
            drawn.add(pair)
            left[speaker] -= 1
    return sorted(drawn)


def _draw_target(voices: _Voices, speaker: int, rng: np.random.Generator, same_session: SameSession) -> Pair:
    """Draw two utterances of one speaker, from different sessions if they are wanted and exist."""
    members, sessions = voices.members(speaker), voices.sessions_of(speaker)
    first = int(rng.integers(len(members)))
    others = np.flatnonzero(sessions != sessions[first])
    if same_session is SameSession.ALLOW or not others.size:
        others = np.delete(np.arange(len(members)), first)
    return _pair(members[first], members[others[rng.integers(len(others))]])


def _draw_nontargets(
    voices: _Voices, classes: Sequence[NDArray[np.int64]], wanted: int, rng: np.random.Generator
) -> list[Pair]:
    """Draw pairs across speakers of one class; all pairs if there are too few."""
    available = sum(_count_nontarget_pairs(voices.sizes[speakers]) for speakers in classes)
    if available <= ENUMERATED * wanted:
        pairs = np.concatenate([_all_nontarget_pairs(voices, speakers) for speakers in classes])
        chosen = pairs[rng.choice(available, min(wanted, available), replace=False)]
        return sorted(map(tuple, chosen.tolist()))
    n_pairs = np.array([len(speakers) * (len(speakers) - 1) for speakers in classes])
    drawn: set[Pair] = set()
    while len(drawn) < wanted:
        speakers = classes[rng.choice(len(classes), p=n_pairs / n_pairs.sum())] if len(classes) > 1 else classes[0]
        first, second = (voices.members(speakers[each]) for each in rng.choice(len(speakers), 2, replace=False))
        drawn.add(_pair(first[rng.integers(len(first))], second[rng.integers(len(second))]))
    return sorted(drawn)


def _count_nontarget_pairs(sizes: NDArray[np.int64]) -> int:
    return int((sizes.sum() ** 2 - (sizes**2).sum()) // 2)


def _all_nontarget_pairs(voices: _Voices, speakers: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return every pair across speakers, ordered by its first utterance, then by its second, (pairs, 2)."""
    members = [voices.members(speaker) for speaker in speakers]
    later, found = np.concatenate(members), [np.empty((0, 2), np.int64)]
    for own in members:
        later = later[len(own) :]
        pairs = np.stack([np.repeat(own, len(later)), np.tile(later, len(own))], axis=1)
        found.append(np.sort(pairs, axis=1))
    return np.concatenate(found)


def _pair(one: np.int64, other: np.int64) -> Pair:
    return (int(one), int(other)) if one < other else (int(other), int(one))

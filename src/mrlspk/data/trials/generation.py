"""Draw trials from a corpus."""

import hashlib
from collections import ChainMap
from collections.abc import Mapping, Sequence
from itertools import chain

import numpy as np

from mrlspk.data.choices import SameSession
from mrlspk.data.manifest import Manifest, Utterance
from mrlspk.data.trials.trials import Trials, format_trials
from mrlspk.data.utterance_ids import speaker_of
from mrlspk.errors import DataError

ENUMERATED = 4  # list all pairs of a pool up to this many times the draw; draw from a larger one by rejection

type Pair = tuple[str, str]
type Group = tuple[Utterance, ...]  # of one speaker


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
    groups = manifest.by_speaker()
    _check_corpus(groups, manifest, same_session, match)
    rng = np.random.default_rng(seed)
    target = _draw_targets(list(groups.values()), n_trials // 2 or 1, rng, same_session)
    nontarget = _draw_nontargets(_classes(groups, match), n_trials - n_trials // 2, rng)
    enroll_ids, test_ids = zip(*target, *nontarget, strict=True)
    is_target = np.arange(len(enroll_ids)) < len(target)
    text = format_trials(enroll_ids, test_ids, is_target)
    sha256 = hashlib.sha256(text.encode()).hexdigest()
    return Trials(enroll_ids, test_ids, is_target, path, sha256, speaker_by_id=_unnamed_speakers(manifest))


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


def _unnamed_speakers(manifest: Manifest) -> dict[str, str]:
    """Return the speaker of every utterance if the ids do not say it."""
    named = {utterance.utterance_id: utterance.speaker_id for utterance in manifest.utterances}
    return {} if all(speaker_of(utterance_id) == speaker for utterance_id, speaker in named.items()) else named


def _check_corpus(
    groups: Mapping[str, Group], manifest: Manifest, same_session: SameSession, match: Mapping[str, str] | None
) -> None:
    if len(groups) < 2 or all(len(group) < 2 for group in groups.values()):
        found = f"{len(groups)} speakers with {len(manifest.utterances)} utterances"
        fix = "Name a folder with more speakers, or more recordings of them."
        raise DataError(f"trials need two speakers, one of them with two utterances, got {found}", manifest.root, fix)
    if not any(_count_target_pairs(group, same_session) for group in groups.values()):
        what = "target trials across sessions need a speaker with two, got one session each"
        raise DataError(what, manifest.root, "Allow both sides of a target trial to be of one session.")
    if all(len(members) < 2 for members in _classes(groups, match)):
        values = sorted({match[speaker] for speaker in groups if speaker in match} if match else ())
        what = f"matched non-target trials need two speakers of one value, got {len(groups)} speakers with {values}"
        raise DataError(what, manifest.root, "Name metadata that gives more of these speakers a value.")


def _classes(groups: Mapping[str, Group], match: Mapping[str, str] | None) -> list[list[Group]]:
    """Return the groups of speakers within which non-target trials are drawn."""
    if match is None:
        return [list(groups.values())]
    values = sorted({match[speaker] for speaker in groups if speaker in match})
    return [[group for speaker, group in groups.items() if match.get(speaker) == value] for value in values]


def _draw_targets(
    groups: Sequence[Group], wanted: int, rng: np.random.Generator, same_session: SameSession
) -> list[Pair]:
    """Draw pairs within groups; the groups take turns until their pairs run out."""
    drawn: set[Pair] = set()
    left = {
        index: n_pairs for index, group in enumerate(groups) if (n_pairs := _count_target_pairs(group, same_session))
    }
    while left and len(drawn) < wanted:
        for index in rng.permutation(list(left))[: wanted - len(drawn)]:
            while (pair := _draw_target(groups[index], rng, same_session)) in drawn:
                continue
            drawn.add(pair)
            left[index] -= 1
        left = {index: n_pairs for index, n_pairs in left.items() if n_pairs}
    return sorted(drawn)


def _count_target_pairs(group: Group, same_session: SameSession) -> int:
    sizes = np.unique([utterance.session_id for utterance in group], return_counts=True)[1]
    if same_session is SameSession.ALLOW or (same_session is SameSession.AVOID and len(sizes) == 1):
        sizes = np.ones(len(group), dtype=int)
    return int((len(group) ** 2 - (sizes**2).sum()) // 2)


def _draw_target(group: Group, rng: np.random.Generator, same_session: SameSession) -> Pair:
    """Draw two utterances of one speaker, from different sessions if they are wanted and exist."""
    first = group[rng.integers(len(group))]
    others = [other for other in group if other.session_id != first.session_id]
    if same_session is SameSession.ALLOW or not others:
        others = [other for other in group if other is not first]
    return _pair(first, others[rng.integers(len(others))])


def _draw_nontargets(classes: Sequence[Sequence[Group]], wanted: int, rng: np.random.Generator) -> list[Pair]:
    """Draw pairs across groups of one class; all pairs if there are too few."""
    available = sum(map(_count_nontarget_pairs, classes))
    if available <= ENUMERATED * wanted:
        pairs = [pair for groups in classes for pair in _all_nontarget_pairs(groups)]
        return sorted(pairs[index] for index in rng.choice(available, min(wanted, available), replace=False))
    n_pairs = np.array([len(groups) * (len(groups) - 1) for groups in classes])
    drawn: set[Pair] = set()
    while len(drawn) < wanted:
        groups = classes[rng.choice(len(classes), p=n_pairs / n_pairs.sum())] if len(classes) > 1 else classes[0]
        first, second = (groups[index] for index in rng.choice(len(groups), 2, replace=False))
        drawn.add(_pair(first[rng.integers(len(first))], second[rng.integers(len(second))]))
    return sorted(drawn)


def _count_nontarget_pairs(groups: Sequence[Group]) -> int:
    return (sum(map(len, groups)) ** 2 - sum(len(group) ** 2 for group in groups)) // 2


def _all_nontarget_pairs(groups: Sequence[Group]) -> list[Pair]:
    """Return every pair across groups, ordered by its first utterance, then by its second."""
    later = [[utterance for group in groups[number + 1 :] for utterance in group] for number in range(len(groups))]
    return [
        _pair(first, second)
        for group, others in zip(groups, later, strict=True)
        for first in group
        for second in others
    ]


def _pair(one: Utterance, other: Utterance) -> Pair:
    first, second = one.utterance_id, other.utterance_id
    return (first, second) if first < second else (second, first)

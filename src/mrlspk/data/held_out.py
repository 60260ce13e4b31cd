"""Hold speakers out to validate on, and draw trials among them, domain by domain.

A domain is a part of the speech, such as a corpus: it has its share of the held-out speakers, and no trial has sides of
two domains.
"""

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from mrlspk.data.manifest import Manifest
from mrlspk.data.metadata import read_metadata
from mrlspk.data.trials import Trials, generate_trials, join_trials
from mrlspk.errors import DataError

log = logging.getLogger("mrlspk.data")

PART = 5  # one of so many speakers is held out
FEWEST, MOST = 10, 200
ENOUGH = 30  # speakers with two utterances: with fewer, held-out speakers say little and the others teach little
FEWEST_OF_DOMAIN = 2  # two speakers make a non-target trial
SHOWN = 5  # speakers named in a message

type Domains = Mapping[str, str]  # domain of each speaker; empty if all are of one


class TooFewSpeakersError(DataError):
    """A corpus has too few speakers to train on some and to validate on others."""


def hold_out(corpus: Manifest, n_speakers: int | None, *, seed: int, domains: Domains) -> Manifest:
    """Draw speakers with two utterances or more from the training corpus; at least two others are left to train on.

    Args:
        corpus: The corpus.
        n_speakers: How many; None: a fifth of those with two utterances, between 10 and 200.
        seed: Seed of the draw.
        domains: Domain of each speaker. Each domain has a share in proportion, two speakers at least; one with fewer
            than four is only trained on.

    Raises:
        TooFewSpeakersError: If a number is not given, and there are fewer than `ENOUGH` speakers with two utterances.
        DataError: If there are too few speakers.
    """
    able = with_two_utterances(corpus)
    if n_speakers is None and len(able) < ENOUGH:
        what = f"{len(able)} speakers with two utterances are too few to train on some and validate on others"
        raise TooFewSpeakersError(f"{what}: {ENOUGH} or more are needed", corpus.root)
    wanted = n_speakers or min(max(len(able) // PART, FEWEST), MOST)
    if len(able) < wanted or len(corpus.speakers) - wanted < 2:
        why = f"only {len(able)} have two utterances" if len(able) < wanted else "training needs two others"
        what = f"cannot hold out {wanted} of {len(corpus.speakers)} speakers: {why}"
        raise DataError(
            what, corpus.root, "Lower data.n_validation_speakers, or set data.val_dataset (vectors: data.val_vectors)."
        )
    held_out = _draw(corpus, able, wanted, seed=seed, domains=domains, left=FEWEST_OF_DOMAIN)
    if not held_out.speakers:
        what = f"no domain has {2 * FEWEST_OF_DOMAIN} speakers with two utterances to hold some out of"
        raise DataError(what, corpus.root, "Leave out data.domain, or set data.val_dataset.")
    return held_out


def some_speakers(corpus: Manifest, n_speakers: int | None, *, seed: int, domains: Domains) -> Manifest:
    """Draw up to ``n_speakers`` speakers with two utterances or more, of each domain in proportion; None: up to 200.

    Raises:
        DataError: If there are none, or no domain has two.
    """
    able = with_two_utterances(corpus)
    found = _draw(corpus, able, min(n_speakers or MOST, len(able)), seed=seed, domains=domains, left=0)
    if not found.speakers:
        where = "in one domain " if domains else ""
        what = f"expected two speakers {where}with two utterances each to validate on, got {len(able)} such speakers"
        raise DataError(
            what, corpus.root, "Give more speech for validation, or hold speakers out of the training speech."
        )
    return found


def with_two_utterances(corpus: Manifest) -> list[str]:
    """Return the speakers with two utterances or more."""
    several = np.flatnonzero(corpus.by_speaker().sizes() > 1)
    return [corpus.speakers[index] for index in several.tolist()]


def draw_trials(
    held_out: Manifest, n_trials: int, *, seed: int, match: Mapping[str, str] | None, domains: Domains
) -> Trials:
    """Draw trials as `generate_trials` does; each domain has a share in proportion to its speakers."""
    path = f"generated from {held_out.root}"
    groups = group_by_domain(held_out.speakers, domains)
    n_speakers, drawn = len(held_out.speakers), []
    for members in groups.values():
        own = held_out.only_speakers(set(members))
        share = max(2, round(n_trials * len(members) / n_speakers)) if len(groups) > 1 else n_trials
        drawn.append(generate_trials(own, share, seed=seed, path=path, match=match))
    return join_trials(drawn)


def read_domains(corpus: Manifest, column: str, path: Path) -> Domains:
    """Return the domain of each speaker of a corpus, from a column of a table.

    Raises:
        DataError: If a speaker has none, or the file cannot be read.
        UsageError: If there is no such column.
    """
    metadata = read_metadata(path)
    found = {
        speaker: metadata.value(column, group[0].utterance_id, speaker)
        for speaker, group in corpus.by_speaker().items()
    }
    if absent := [speaker for speaker, value in found.items() if value is None]:
        names = ", ".join(absent[:SHOWN]) + (", …" if len(absent) > SHOWN else "")
        what = f"expected a {column} of every speaker, got none of {len(absent)} of {len(found)}: {names}"
        raise DataError(what, path, "Add them to the table, or leave out data.domain.")
    return {speaker: value for speaker, value in found.items() if value is not None}


def group_by_domain(speakers: Iterable[str], domains: Domains) -> dict[str, list[str]]:
    """Return the speakers of each domain, by its name, in their order."""
    groups: dict[str, list[str]] = {}
    for speaker in speakers:
        groups.setdefault(domains.get(speaker, ""), []).append(speaker)
    return dict(sorted(groups.items()))


def _draw(corpus: Manifest, able: list[str], n_speakers: int, *, seed: int, domains: Domains, left: int) -> Manifest:
    """Return the corpus of drawn speakers; of each domain ``left`` others stay."""
    groups, chosen = group_by_domain(able, domains), list[str]()
    for domain, members in groups.items():
        share = n_speakers
        if len(groups) > 1:
            share = max(FEWEST_OF_DOMAIN, round(n_speakers * len(members) / len(able)))
            if len(members) < FEWEST_OF_DOMAIN + left:
                log.warning("%s: %d speakers of %s are too few to validate on", corpus.root, len(members), domain)
                continue
        chosen += np.random.default_rng(seed).permutation(members)[:share].tolist()
    return corpus.only_speakers(set(chosen))

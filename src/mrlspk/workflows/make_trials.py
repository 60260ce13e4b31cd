"""Draw trial lists from corpora and write them."""

import logging
import os
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from mrlspk.data.choices import AUTO, SameSession
from mrlspk.data.corpora.recipe_registry import scan_corpus
from mrlspk.data.manifest import Manifest
from mrlspk.data.metadata import read_metadata, speaker_values
from mrlspk.data.trials import Trials, generate_trials, trials_text
from mrlspk.errors import UsageError
from mrlspk.files import claimed_file

log = logging.getLogger("mrlspk.data")


@dataclass(frozen=True)
class WrittenTrials:
    """A written list, its counts and its SHA-256."""

    path: Path
    audio_root: Path
    sha256: str
    n_target: int
    n_nontarget: int
    n_speakers: int
    n_utterances: int


def make_trials(
    folders: Sequence[Path],
    output: Path,
    *,
    corpus: str = AUTO,
    n_trials: int,
    seed: int,
    same_session: SameSession = SameSession.AVOID,
    match: str | None = None,
    metadata: Path | None = None,
    force: bool = False,
) -> tuple[WrittenTrials, ...]:
    """Write a list of trials for each corpus; if one of them cannot be drawn, write none.

    Args:
        folders: Corpora: trees ``speaker/session/file`` or ``speaker/file``, or what another recipe reads.
        output: The list; for several corpora, the folder of the lists, each named as its corpus.
        corpus: Recipe of all of them: auto, a name, or a pattern of paths.
        n_trials: Trials of each corpus, both kinds together; fewer if a corpus does not have that many.
        seed: Of the draw.
        same_session: Whether both sides of a target trial may come from one session.
        match: Column of ``metadata`` in which both speakers of a non-target trial have one value.
        metadata: Table of speakers or utterances with that column.
        force: Overwrite existing lists.

    Raises:
        UsageError: If one of ``match`` and ``metadata`` is given without the other, or there is no such column.
        DataError: If a folder or the metadata cannot be read, or the folder has no such trials.
        MrlspkError: If a list exists, or cannot be written.
    """
    if (match is None) != (metadata is None):
        given, absent = ("metadata", "match") if match is None else ("match", "metadata")
        raise UsageError(f"needs `{absent}`", parameter=given, fix="Give both: `match=gender` and `metadata=FILE`.")
    paths = _name_lists(folders, output)
    table = read_metadata(metadata) if metadata is not None else None
    with ExitStack() as stack:
        claims = [stack.enter_context(claimed_file(path, force=force)) for path in paths]
        drawn = []
        for folder, path in zip(folders, paths, strict=True):
            manifest = scan_corpus(folder, corpus)
            values = speaker_values(manifest, table, match) if table is not None and match is not None else None
            trials = generate_trials(
                manifest, n_trials, seed=seed, path=str(path), same_session=same_session, match=values
            )
            _warn_of_fewer(folder, len(trials), n_trials)
            drawn.append((path, manifest, trials))
        for claim, (_, _, trials) in zip(claims, drawn, strict=True):
            partial = stack.enter_context(claim.writing())  # all are whole before the first is put in place
            partial.write_bytes(trials_text(trials).encode())
    return tuple(_report(*each) for each in drawn)


def _warn_of_fewer(folder: Path, n_found: int, n_wanted: int) -> None:
    if n_found < n_wanted:
        log.warning("%s: %d trials instead of %d: the corpus has no more of this kind", folder, n_found, n_wanted)


def _name_lists(folders: Sequence[Path], output: Path) -> list[Path]:
    """Return a path for the list of each folder; parent folders distinguish folders of the same name."""
    if len(folders) == 1:
        return [output]
    resolved = [Path(os.path.realpath(folder)) for folder in folders]  # unlike resolve(), it takes a loop of links
    if len(set(resolved)) < len(resolved):
        raise UsageError("expected different folders, got one of them twice", str(folders[0]), "Name each folder once.")
    n_parts = 1
    while len({folder.parts[-n_parts:] for folder in resolved}) < len(resolved):
        n_parts += 1
    return [output / f"{'-'.join(folder.parts[-n_parts:])}.txt" for folder in resolved]


def _report(path: Path, manifest: Manifest, trials: Trials) -> WrittenTrials:
    counts = trials.n_target, trials.n_nontarget, len(trials.speakers), len(trials.utterance_ids)
    return WrittenTrials(path, manifest.root, trials.sha256, *counts)

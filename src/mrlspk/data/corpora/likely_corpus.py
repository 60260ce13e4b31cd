"""Guess which folder is the corpus where another one was named, a level too high or too low."""

import os
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path

from mrlspk.data.audio.formats import AUDIO_SUFFIXES

DEPTHS = 3, 2  # of speaker/session/file and speaker/file
SPLITS = {"aac", "audio", "clips", "dev", "eval", "m4a", "test", "train", "val", "valid", "validation", "wav"}
MOST_LISTED = 10_000  # subfolders
FEWEST_SIBLINGS = 5  # of a speaker; fewer folders side by side may be corpora
LOOKED_AT = 3


def corpus_below(root: Path, files: Sequence[str]) -> Path | None:
    """Return the folder below ``root`` in which most files are those of speakers; None if there is none."""
    counts: Counter[str] = Counter()
    for each in files:
        parts = each.split("/")
        counts.update("/".join(parts[:-depth]) for depth in DEPTHS if len(parts) > depth)
    found = counts.most_common(1)
    return root / found[0][0] if found and 2 * found[0][1] >= len(files) else None


def corpus_above(root: Path) -> Path | None:
    """Return the corpus of a folder of audio, taken for a session if speakers are beside its parent, else a speaker."""
    parent = _parent(root)
    corpus = _parent(parent)
    beside = [each for each in _folders(corpus) if each.name not in SPLITS and each.resolve() != parent.resolve()]
    if parent.resolve().name not in SPLITS and any(map(_has_sessions, beside[:LOOKED_AT])):
        return corpus
    return parent if len(_folders(parent)) > 1 else None


def corpus_of_splits(root: Path, speakers: Collection[str]) -> Path | None:
    """Return the first of the "speakers" if all are called as the parts of a corpus are: train, test."""
    return root / min(speakers) if all(each.lower() in SPLITS for each in speakers) else None


def corpus_of_speaker(root: Path) -> Path | None:
    """Return the parent of a folder if the folders beside it have sessions with audio as speakers do."""
    parent = _parent(root)
    siblings = [each for each in _folders(parent) if each.name != root.resolve().name]
    has_many = len(siblings) >= FEWEST_SIBLINGS
    return parent if has_many and all(map(_has_sessions, siblings[:LOOKED_AT])) else None


def _parent(folder: Path) -> Path:
    """Return the parent of a folder, with its name: not ``.`` or ``..``."""
    parent = Path(os.path.normpath(folder / ".."))
    return (
        parent if parent.name.strip(".") or parent == Path(parent.anchor) else Path(os.path.normpath(parent.absolute()))
    )


def _folders(folder: Path) -> list[Path]:
    return sorted(Path(each.path) for each in _entries(folder) if each.is_dir() and not each.name.startswith("."))


def _has_sessions(folder: Path) -> bool:
    return not _has_audio(folder) and any(map(_has_audio, _folders(folder)[:LOOKED_AT]))


def _has_audio(folder: Path) -> bool:
    return any(Path(each.name).suffix.lower() in AUDIO_SUFFIXES for each in _entries(folder))


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    with suppress(OSError), os.scandir(folder) as entries:  # a folder that may not be listed gives no hint
        yield from islice(entries, MOST_LISTED)

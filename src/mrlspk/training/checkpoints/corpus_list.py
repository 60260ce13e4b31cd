"""The utterances that a run was begun with, kept beside its checkpoints to tell what changed."""

import gzip
from pathlib import Path

from mrlspk.errors import CheckpointError
from mrlspk.files import whole_file

CORPUS = "corpus.txt.gz"
SHOWN = 3


def write_corpus(run_dir: Path, utterance_ids: list[str]) -> None:
    """Write the ids, one a line, compressed.

    Raises:
        MrlspkError: If the file cannot be written.
    """
    text = "".join(f"{utterance_id}\n" for utterance_id in utterance_ids)
    with whole_file(run_dir / CORPUS) as partial:
        partial.write_bytes(gzip.compress(text.encode(), mtime=0))


def describe_difference(run_dir: Path, utterance_ids: list[str]) -> str | None:
    """Return what was added to and removed from the corpus of a run; None where nothing was.

    Raises:
        CheckpointError: If the list is damaged.
    """
    path = run_dir / CORPUS
    try:
        before = set(gzip.decompress(path.read_bytes()).decode().splitlines())
    except FileNotFoundError:
        return f"utterances were added, removed or renamed ({CORPUS}, which tells them, is gone)"
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise CheckpointError(f"cannot be read: {error}", path, "Remove it: it only tells what changed.") from error
    now = set(utterance_ids)
    parts = [_counted(now - before, "added"), _counted(before - now, "removed")]
    return ", ".join(filter(None, parts)) or None


def _counted(utterance_ids: set[str], what: str) -> str:
    if not utterance_ids:
        return ""
    first = sorted(utterance_ids)[:SHOWN]
    shown = ", ".join(first) + (", …" if len(utterance_ids) > SHOWN else "")
    return f"{len(utterance_ids)} utterances {what} ({shown})"

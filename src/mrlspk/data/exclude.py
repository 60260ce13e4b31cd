"""Leave out the utterances that lists name, as `mrlspk data check` writes them."""

import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

from mrlspk.data.corpora.recipe_registry import list_corpus
from mrlspk.data.left_out import named
from mrlspk.data.manifest import Manifest
from mrlspk.data.text_tables import read_text_file
from mrlspk.errors import DataError
from mrlspk.reading import reading

EXPECTED = "an utterance id in each line, and after a tab why it is left out"
COMMENT, ESCAPE = "#", "\\"  # an id that begins as a comment has the second in front
HEADER = f"{COMMENT} Utterances to leave out: id, tab, kinds of problem. For data.exclude."
WRITE_AGAIN = "Write the list of this corpus: mrlspk data check FOLDER --write-excludes FILE."

log = logging.getLogger("mrlspk.data")


def read_excludes(paths: Sequence[Path]) -> dict[str, str]:
    r"""Return why utterances are left out, by id; a reason may be absent.

    ``#`` begins a line of comment, and ``\#`` an id whose first character is ``#``.

    Raises:
        DataError: If a file is absent, or is no text.
    """
    reasons: dict[str, str] = {}
    for path in paths:
        with reading(path, DataError, "Check the path."):
            wrong = "got a folder" if path.is_dir() else None if path.exists() else "there is no such file"
        if wrong:
            raise DataError(f"expected a list of utterances to leave out, {wrong}", path, WRITE_AGAIN)
        for line in read_text_file(path, EXPECTED).lines:
            if line.strip() and not line.startswith(COMMENT):
                utterance_id, _, reason = line.partition("\t")
                reasons[_unescaped(utterance_id.strip())] = reason.strip()
    return reasons


def leave_out(corpora: Sequence[Manifest], paths: Sequence[Path], labels: Collection[str] = ()) -> tuple[Manifest, ...]:
    """Return corpora without the utterances that lists name; warn of listed ids that no corpus has.

    Args:
        corpora: Whose utterances may be listed.
        paths: The lists.
        labels: Of joined corpora, whose ids begin with one; a list may have the ids with or without it.

    Raises:
        DataError: If a list cannot be read, or no utterance of a corpus is left.
    """
    if not paths:
        return tuple(corpora)
    listed, files = _Listed(read_excludes(paths), frozenset(labels)), _names(paths)
    remaining = tuple(_without(each, listed, files) for each in corpora)
    count = sum(len(each.utterances) for each in corpora) - sum(len(each.utterances) for each in remaining)
    log.info("%s: %d utterances left out", files, count)
    if stale := listed.not_seen():
        log.warning("%s: no corpus has %s", files, named("utterance", stale))
    if shared := listed.shared():
        log.warning("%s: several corpora have %s; put the name of one in front", files, named("utterance", shared))
    return remaining


def leave_out_quietly(corpus: Manifest, paths: Sequence[Path], labels: Collection[str] = ()) -> Manifest:
    """Return a corpus without the utterances that lists name; listed ids that it does not have may be of another.

    Args:
        corpus: Whose utterances may be listed.
        paths: The lists.
        labels: As `leave_out` takes them.

    Raises:
        DataError: If a list cannot be read, or no utterance is left.
    """
    return _without(corpus, _Listed(read_excludes(paths), frozenset(labels)), _names(paths)) if paths else corpus


def scan_remaining(path: Path, corpus: str, paths: Sequence[Path]) -> Manifest:
    """Return a corpus without the utterances that lists name; a trial list can hold the names of the others.

    Args:
        path: Of the corpus.
        corpus: Its recipe.
        paths: The lists.

    Raises:
        DataError: If the corpus or a list cannot be used, or no utterance is left.
        UsageError: If there is no such recipe.
    """
    (remaining,) = leave_out([list_corpus(path, corpus)], paths)
    remaining.check_names()
    return remaining


def excludes_text(kinds_by_id: Mapping[str, Iterable[str]]) -> str:
    """Return the text of a list: the ids in order, each with its kinds of problem."""
    rows = (f"{_escaped(utterance_id)}\t{','.join(kinds)}" for utterance_id, kinds in sorted(kinds_by_id.items()))
    return "\n".join([HEADER, *rows]) + "\n"


def _without(corpus: Manifest, listed: "_Listed", files: str) -> Manifest:
    """Return a corpus without the listed utterances.

    Raises:
        DataError: If none is left.
    """
    remaining = corpus.without_utterances(listed)
    if not len(remaining.utterances):
        raise DataError(f"no utterance is left: {files} names them all", corpus.root, WRITE_AGAIN)
    return remaining


def _names(paths: Sequence[Path]) -> str:
    return ", ".join(map(str, paths))


def _escaped(utterance_id: str) -> str:
    return ESCAPE + utterance_id if utterance_id.lstrip(ESCAPE).startswith(COMMENT) else utterance_id


def _unescaped(text: str) -> str:
    return text[len(ESCAPE) :] if text != (bare := text.lstrip(ESCAPE)) and bare.startswith(COMMENT) else text


class _Listed:
    """Utterances that are listed; those that were asked for are remembered."""

    def __init__(self, ids: Collection[str], labels: frozenset[str]) -> None:
        self._ids, self._labels, self._seen, self._shared = ids, labels, set[str](), set[str]()

    def __contains__(self, utterance_id: object) -> bool:
        name = str(utterance_id)
        label, _, rest = name.partition("/")
        found = {name} if label not in self._labels else {name, rest}
        seen = found.intersection(self._ids)
        self._shared |= seen & self._seen
        self._seen |= seen
        return bool(seen)

    def not_seen(self) -> list[str]:
        return sorted(set(self._ids) - self._seen)

    def shared(self) -> list[str]:
        """Return the listed ids that several utterances have."""
        return sorted(self._shared)

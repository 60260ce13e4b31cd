"""Read speaker and session from paths by a pattern, such as ``{speaker}/{session}/{utterance}.wav``."""

import re
from dataclasses import dataclass
from functools import cached_property

from mrlspk.data.audio.formats import AUDIO_SUFFIXES
from mrlspk.errors import UsageError, shorten

FIELDS = "speaker", "session", "utterance"
EXAMPLE = "{speaker}/{session}/{utterance}.wav"
_TOKENS = re.compile(r"\{[^{}]*\}|\*\*/|\*|[^{}*]+|[{}]")
_SUFFIX = re.compile(r"\.\w+$")


@dataclass(frozen=True)
class PathPattern:
    """A pattern of paths relative to a corpus.

    ``{speaker}``, ``{session}`` and ``{utterance}`` stand for some characters of one folder or file name, as few as
    fit; one that is there twice has one value. ``*`` stands for any characters of one name, ``**/`` for any folders. A
    pattern that ends without a suffix fits every suffix of audio.
    """

    text: str

    def match(self, path: str) -> tuple[str, str] | None:
        """Return speaker and session of a path; None if it does not fit. Without a session the speaker is one."""
        found = self.regex.fullmatch(path)
        if found is None:
            return None
        values = found.groupdict()
        speaker, session = values["speaker"], values.get("session")
        return speaker, f"{speaker}/{session}" if session else speaker

    @cached_property
    def regex(self) -> re.Pattern[str]:
        """The pattern as a regular expression with groups of the same names.

        Raises:
            UsageError: If the pattern is malformed.
        """
        tokens = _TOKENS.findall(self.text)
        if fault := _fault(self.text, tokens):
            fix = f"Example: {EXAMPLE}; fields are {', '.join(f'{{{name}}}' for name in FIELDS)}, wildcards * and **/."
            raise UsageError(f"{fault}, got {shorten(self.text)!r}", fix=fix, parameter="corpus")
        seen: set[str] = set()
        pieces = [_piece(token, seen) for token in tokens]
        if not _SUFFIX.search(self.text.rpartition("}")[2]):
            pieces.append(f"(?i:{'|'.join(map(re.escape, sorted(AUDIO_SUFFIXES)))})")
        return re.compile("".join(pieces))


def is_pattern(text: str) -> bool:
    """Return whether the value of ``--corpus`` is a pattern and not a name."""
    return any(character in text for character in "{}*/")


def _piece(token: str, seen: set[str]) -> str:
    if token == "**/":
        return "(?:[^/]+/)*"
    if token == "*":
        return "[^/]*?"
    if not token.startswith("{"):
        return re.escape(token)
    name = token[1:-1]
    if name in seen:
        return f"(?P={name})"
    seen.add(name)
    return f"(?P<{name}>[^/]+?)"


def _fault(text: str, tokens: list[str]) -> str | None:
    if any(token in {"{", "}"} for token in tokens):
        return "expected a pattern with { and } around the name of a field"
    names = [token[1:-1] for token in tokens if token.startswith("{")]
    if unknown := [name for name in names if name not in FIELDS]:
        return f"expected the fields {', '.join(FIELDS)} and no {unknown[0] or 'empty one'}"
    if "speaker" not in names:
        return "expected a pattern with {speaker}"
    if text.startswith("/") or "//" in text or ".." in text.split("/"):
        return "expected a pattern of paths below the folder of the corpus"
    pairs = zip(tokens, tokens[1:], strict=False)
    if any(one.startswith("{") and other.startswith("{") for one, other in pairs):
        return "expected characters between two fields"
    return None

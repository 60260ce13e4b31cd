"""Rows of a manifest file: what an utterance is, where its audio lies, and what its header states."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from mrlspk.data.audio.source import AudioSource, ChannelSource, FileSource, RangeSource, TarMember
from mrlspk.data.manifest import Utterance
from mrlspk.errors import DataError


@dataclass(frozen=True, slots=True)
class Place:
    """Where the audio of an utterance lies.

    Attributes:
        path: Of the file, or of the archive that holds it.
        start: Seconds from which on it is the utterance; None: from the beginning.
        duration: Seconds of the utterance; None: to the end.
        channel: Counted from 0; None: the average of all.
        member: Name in the archive; None if the file is no archive.
        offset: First byte of the member.
        length: Bytes of the member.
    """

    path: str
    start: float | None = None
    duration: float | None = None
    channel: int | None = None
    member: str | None = None
    offset: int | None = None
    length: int | None = None

    def source(self, folder: str) -> AudioSource:
        """Return the audio; a relative path begins at ``folder``."""
        path = self.path if "://" in self.path else os.path.join(folder, self.path)  # noqa: PTH118 - of a million rows
        source: AudioSource = FileSource(path)
        if self.member is not None:
            source = TarMember(path, self.member, self.offset or 0, self.length or 0)
        if self.start is not None or self.duration is not None:
            source = RangeSource(source, self.start or 0.0, self.duration)
        return source if self.channel is None else ChannelSource(source, self.channel)


def place_of(source: AudioSource) -> Place:
    """Return the place of a source.

    Raises:
        DataError: If it is of a kind that no manifest file can describe.
    """
    if isinstance(source, FileSource):
        return Place(source.location)
    channel = source.channel if isinstance(source, ChannelSource) else None
    inner = source.recording if isinstance(source, ChannelSource) else source
    start, duration = (inner.start_seconds, inner.seconds) if isinstance(inner, RangeSource) else (None, None)
    whole = inner.whole if isinstance(inner, RangeSource) else inner
    if isinstance(whole, TarMember):
        return Place(whole.archive, start, duration, channel, whole.name, whole.offset, whole.length)
    if isinstance(whole, FileSource):
        return Place(whole.location, start, duration, channel)
    raise DataError("expected a file, or a member of a tar archive", str(source), "Write the audio to files.")


@dataclass(frozen=True, slots=True)
class ManifestRow:
    """One utterance of a manifest file; optional columns are absent in JSON lines and empty in Parquet.

    Attributes:
        id: Unique in the file.
        speaker: Who speaks; empty if that is unknown.
        session: Utterances of one speaker with the same session were recorded together.
        path: Of the file or archive: relative to the folder of the manifest file, absolute, or a URL.
        seconds: Length of the utterance; None if it is not known.
        exact: Whether decoding gives that length.
        sample_rate: Hz, of the file.
        channels: Of the file.
        codec: FFmpeg's name, of PCM without the order of bytes.
        bytes: Of the file or member.
        mtime_ns: Time of the last change of the file or archive.
        start: Seconds from which on the file is the utterance.
        duration: Seconds of the utterance, if the file goes on.
        channel: The one to take, counted from 0; None: the average of all.
        member: Name in the archive.
        offset: First byte of the member.
        length: Bytes of the member.
        corpus: Name of the corpus, where several are joined.
    """

    id: str
    speaker: str
    session: str
    path: str
    seconds: float | None = None
    exact: bool | None = None
    sample_rate: int | None = None
    channels: int | None = None
    codec: str | None = None
    bytes: int | None = None
    mtime_ns: int | None = None
    start: float | None = None
    duration: float | None = None
    channel: int | None = None
    member: str | None = None
    offset: int | None = None
    length: int | None = None
    corpus: str | None = None

    def utterance(self, folder: str) -> Utterance:
        """Return the utterance; a relative path begins at ``folder``."""
        place = Place(self.path, self.start, self.duration, self.channel, self.member, self.offset, self.length)
        seconds = self.seconds if self.exact else None
        return Utterance(self.id, self.speaker, self.session, place.source(folder), seconds)


COLUMNS = tuple(field.name for field in fields(ManifestRow))
REQUIRED = "id", "speaker", "path"
TEXTS = frozenset({"id", "speaker", "session", "path", "codec", "member", "corpus"})
NUMBERS = frozenset({"seconds", "start", "duration"})
COUNTS = frozenset({"sample_rate", "channels", "bytes", "mtime_ns", "channel", "offset", "length"})


def row_of(values: Mapping[str, Any], where: str) -> ManifestRow:
    """Return a row of the values of columns; unknown columns are ignored.

    Raises:
        DataError: If one that is required is absent, or a value is of the wrong type.
    """
    for name in REQUIRED:
        if not isinstance(values.get(name), str) or (not values[name] and name != "speaker"):
            raise DataError(f"expected a text in {name!r}, got {values.get(name)!r}", where, FIX)
    known = {name: value for name in COLUMNS if (value := values.get(name)) is not None}
    for name, value in known.items():
        if name in TEXTS:
            is_right = isinstance(value, str)
        elif name == "exact":
            is_right = isinstance(value, bool)
        else:
            kinds = int if name in COUNTS else (int, float)
            is_right = isinstance(value, kinds) and not isinstance(value, bool) and value >= 0
        if not is_right:
            kind = "a text" if name in TEXTS else "true or false" if name == "exact" else "a number"
            raise DataError(f"expected {kind} in {name!r}, got {value!r}", where, FIX)
    known.setdefault("session", values["id"].rpartition("/")[0] or values["speaker"])
    return ManifestRow(**known)


FIX = "Write the file with `mrlspk data scan CORPUS -o FILE`."


def relative_to(path: str, folder: str) -> str:
    """Return a path relative to ``folder`` if it lies below it, else absolute; a URL as it is."""
    if "://" in path:
        return path
    whole = path if path.startswith("/") else os.path.abspath(path)  # noqa: PTH100 - links stay as they are
    return whole.removeprefix(folder) if whole.startswith(folder) else whole


def folder_prefix(file: Path) -> str:
    """Return the folder of a manifest file, absolute, with a slash behind it."""
    folder = os.path.abspath(file.parent)  # noqa: PTH100 - links stay as they are
    return folder if folder.endswith("/") else f"{folder}/"

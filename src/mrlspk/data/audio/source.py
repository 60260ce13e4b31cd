"""Sources of encoded audio: a file, a member of a tar archive, or a time range of either."""

import os
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal, Protocol

from mrlspk.data.byte_ranges import open_member
from mrlspk.errors import DataError
from mrlspk.reading import reading

type Channel = Literal["mix"] | int  # the average of all channels, or one of them, counted from 0


class AudioSource(Protocol):
    """Encoded audio that `mrlspk.data.audio` decodes; ``str(source)`` names it in messages.

    A source is hashable, small and picklable: it travels to the decoding processes. It never holds an open file.
    """

    __slots__ = ()

    def open(self) -> BinaryIO:
        """Open the encoded audio for reading, at its first byte.

        Raises:
            OSError: If it cannot be opened.
        """
        ...

    def size(self) -> int:
        """Return the number of bytes that `open` gives.

        Raises:
            OSError: If there is no such audio.
        """
        ...

    @property
    def suffix(self) -> str:
        """Suffix in lower case, such as ``.wav``; the content, not the suffix, selects the decoder."""
        ...

    @property
    def path(self) -> Path | None:
        """The file that holds exactly the bytes of `open`; None if there is no such file."""
        return None

    @property
    def start_seconds(self) -> float:
        """Where the source begins in the decoded audio."""
        return 0.0

    @property
    def seconds(self) -> float | None:
        """Length of the source in the decoded audio; None: to its end."""
        return None

    @property
    def channel(self) -> Channel:
        """The channel to take of the decoded audio."""
        return "mix"


@dataclass(frozen=True, slots=True)
class FileSource(AudioSource):
    """A whole file; ``location`` is its path as text, which takes a third of the memory of a `Path`."""

    location: str

    def __str__(self) -> str:
        return self.location

    def open(self) -> BinaryIO:
        """Open the file."""
        return self.path.open("rb")

    def size(self) -> int:
        """Return the size of the file."""
        return self.path.stat().st_size

    @property
    def suffix(self) -> str:
        """Suffix of the file in lower case."""
        return self.path.suffix.lower()

    @property
    def path(self) -> Path:
        """The file."""
        return Path(self.location)


@dataclass(frozen=True, slots=True)
class TarMember(AudioSource):
    """A file in an uncompressed tar archive; `list_tar` finds where its bytes are.

    Args:
        archive: Path or URL of the archive.
        name: Of the member.
        offset: Of its first byte in the archive.
        length: In bytes.
    """

    archive: str
    name: str
    offset: int
    length: int

    def __str__(self) -> str:
        return f"{self.archive}:{self.name}"

    def open(self) -> BinaryIO:
        """Open the member; that of an archive at a URL is fetched whole.

        Raises:
            OSError: If the archive cannot be read, or ends too early.
            DataError: If there is no archive at the URL, it ends too early, or the member is not at its place.
            DownloadError: If its server cannot be reached.
        """
        return open_member(self.archive, self.offset, self.length, self.name)

    def size(self) -> int:
        """Return the size of the member as the archive states it."""
        return self.length

    @property
    def suffix(self) -> str:
        """Suffix of the member in lower case."""
        return os.path.splitext(self.name)[1].lower()  # noqa: PTH122 - the name is no path of this system


@dataclass(frozen=True, slots=True)
class RangeSource(AudioSource):
    """A part of a longer recording.

    Args:
        whole: The recording; not itself a range.
        start_seconds: Where the part begins.
        seconds: Length of the part; None: to the end of the recording.
    """

    whole: AudioSource
    start_seconds: float
    seconds: float | None = None

    def __str__(self) -> str:
        end = "" if self.seconds is None else f"{self.start_seconds + self.seconds:.2f}"
        return f"{self.whole}[{self.start_seconds:.2f}:{end}]"

    def open(self) -> BinaryIO:
        """Open the whole recording."""
        return self.whole.open()

    def size(self) -> int:
        """Return the size of the whole recording."""
        return self.whole.size()

    @property
    def suffix(self) -> str:
        """Suffix of the whole recording."""
        return self.whole.suffix

    @property
    def path(self) -> Path | None:
        """The file of the whole recording, if it is one."""
        return self.whole.path

    @property
    def channel(self) -> Channel:
        """The channel of the whole recording."""
        return self.whole.channel


@dataclass(frozen=True, slots=True)
class ChannelSource(AudioSource):
    """One channel of a recording with several.

    Args:
        recording: The recording, or a range of it.
        channel: Counted from 0.
    """

    recording: AudioSource
    channel: int

    def __str__(self) -> str:
        return f"{self.recording}#{self.channel}"

    def open(self) -> BinaryIO:
        """Open the recording."""
        return self.recording.open()

    def size(self) -> int:
        """Return the size of the recording."""
        return self.recording.size()

    @property
    def suffix(self) -> str:
        """Suffix of the recording."""
        return self.recording.suffix

    @property
    def path(self) -> Path | None:
        """The file of the recording, if it is one."""
        return self.recording.path

    @property
    def start_seconds(self) -> float:
        """Where the recording begins."""
        return self.recording.start_seconds

    @property
    def seconds(self) -> float | None:
        """Length of the recording, if it is a range."""
        return self.recording.seconds


def as_source(audio: AudioSource | str | Path) -> AudioSource:
    """Return the source of a path, or a source as it is."""
    return FileSource(str(Path(audio))) if isinstance(audio, str | Path) else audio


def take_channel(source: AudioSource, channel: Channel) -> AudioSource:
    """Return one channel of a source, counted from 0, or for ``mix`` the source as it is."""
    return source if channel == "mix" else ChannelSource(source, channel)


def archive_of(source: AudioSource) -> str | None:
    """Return path or URL of the archive that the audio is in; None if it is in none."""
    while isinstance(source, RangeSource | ChannelSource):
        source = source.whole if isinstance(source, RangeSource) else source.recording
    return source.archive if isinstance(source, TarMember) else None


def list_tar(archive: Path) -> tuple[TarMember, ...]:
    """Return the files in an uncompressed tar archive, in its order.

    Raises:
        DataError: If it cannot be read or is not an uncompressed tar archive.
    """
    try:
        with reading(archive, DataError, "Check the path."), tarfile.open(archive, "r:") as file:
            members = [each for each in file if each.isfile()]
    except tarfile.TarError as error:
        fix = "Unpack it, or pack it again without compression."
        raise DataError(f"expected an uncompressed tar archive ({error})", archive, fix) from error
    return tuple(TarMember(str(archive), each.name, each.offset_data, each.size) for each in members)

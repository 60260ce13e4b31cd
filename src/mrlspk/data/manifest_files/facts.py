"""Find the facts of a manifest row: size and time of a file, and what its header states."""

import os
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from mrlspk.data.audio.channels import check_channel
from mrlspk.data.audio.headers import AudioHeader, read_file_header, read_header, segment_fault
from mrlspk.data.audio.source import AudioSource, ChannelSource, FileSource, RangeSource, TarMember
from mrlspk.errors import DataError
from mrlspk.reading import reading

RECORDINGS_KEPT = 16  # whose headers are kept, while their segments are listed
DTYPE = np.dtype(
    [
        ("bytes", np.int64),
        ("mtime_ns", np.int64),
        ("seconds", np.float64),
        ("exact", np.bool_),
        ("sample_rate", np.int32),
        ("channels", np.int16),
        ("codec", np.int16),
        ("state", np.int8),
    ]
)
ABSENT, READ, UNCHANGED, RESUMED = 0, 1, 2, 3  # states

type State = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of the audio of a row."""

    bytes: int
    mtime_ns: int
    seconds: float
    exact: bool
    sample_rate: int
    channels: int
    codec: str

    @property
    def state(self) -> State:
        """Size and time of the last change."""
        return self.bytes, self.mtime_ns

    @property
    def values(self) -> tuple[int, int, float, bool, int, int, str]:
        """All fields, in their order."""
        return self.bytes, self.mtime_ns, self.seconds, self.exact, self.sample_rate, self.channels, self.codec


def state_of(source: AudioSource) -> State:
    """Return size and time of the last change of the file of a source, or of the archive that holds it.

    Raises:
        OSError: If there is no such file.
    """
    whole = whole_of(source)
    if isinstance(whole, TarMember):
        if "://" in whole.archive:  # what is in it cannot change without a new name
            return whole.length, 0
        return whole.length, os.stat(whole.archive).st_mtime_ns  # noqa: PTH116 - of a million files
    path = whole.location if isinstance(whole, FileSource) else whole.path
    if path is None:
        return whole.size(), 0
    found = os.stat(path)  # noqa: PTH116
    return found.st_size, found.st_mtime_ns


def whole_of(source: AudioSource) -> AudioSource:
    """Return the recording without its range and channel."""
    if isinstance(source, ChannelSource):
        source = source.recording
    return source.whole if isinstance(source, RangeSource) else source


def read_facts(source: AudioSource) -> Facts:
    """Return the facts of a source; the length is that of its range.

    Raises:
        DataError: If it cannot be read, has no such channel, or ends well before its range.
    """
    if isinstance(source, FileSource):
        parsed, size, mtime_ns = read_file_header(source.location)
        header, state = parsed or read_header(source, counts=True), (size, mtime_ns)
        return _facts(header, state, header.seconds or 0.0)
    with reading(str(source), DataError, "Check the path."):
        state = _state_or_none(source)
    header = _read_once((whole_of(source), state))
    check_channel(source.channel, header.channels, str(source))
    if fault := segment_fault(source, header):
        raise DataError(fault, str(source), "Correct the start and the duration of the segment.")
    seconds = max((header.seconds or 0.0) - source.start_seconds, 0.0)
    return _facts(header, state, seconds if source.seconds is None else min(seconds, source.seconds))


def _facts(header: AudioHeader, state: State, seconds: float) -> Facts:
    return Facts(*state, seconds, header.is_exact, header.sample_rate, header.channels, header.codec)


def _state_or_none(source: AudioSource) -> State:
    """Return the state, or zeros if there is no such file: the decoder says why."""
    try:
        return state_of(source)
    except (FileNotFoundError, ValueError):
        return 0, 0


@lru_cache(RECORDINGS_KEPT)
def _read_once(recording: tuple[AudioSource, State]) -> AudioHeader:
    return read_header(recording[0], counts=True)

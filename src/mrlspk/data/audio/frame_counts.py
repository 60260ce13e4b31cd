"""Count the frames of a file once, where its header does not state them."""

from mrlspk.data.audio.headers import parse_header
from mrlspk.data.audio.source import AudioSource
from mrlspk.data.audio.stream import AudioStream
from mrlspk.errors import DataError
from mrlspk.reading import reading

MOST_COUNTS = 1 << 16  # 20 MB

type _Key = tuple[str, int, int]

_counts: dict[_Key, int] = {}


def count_frames(source: AudioSource, stream: AudioStream) -> int:
    """Return the exact number of frames of ``stream``, which is open on ``source``.

    The usual MPEG-4 header states it. What has been counted is kept by path, size and time of the last change: an epoch
    of random crops counts each file once.

    Raises:
        DataError: If the audio cannot be read to its end.
    """
    if stream.n_frames is not None:
        return stream.n_frames
    stated = parse_header(source) if stream.codec == "aac" else None
    if stated is not None and stated.n_frames is not None and stated.sample_rate == stream.sample_rate:
        return stated.n_frames
    if source.path is None:
        return stream.count_frames()
    with reading(str(source), DataError):
        state = source.path.stat()
    key = (str(source.path), state.st_size, state.st_mtime_ns)
    if key not in _counts:
        if len(_counts) >= MOST_COUNTS:
            _counts.clear()
        _counts[key] = stream.count_frames()
    return _counts[key]

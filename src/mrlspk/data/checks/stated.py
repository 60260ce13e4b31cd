"""Read the length that the header of FLAC or MP3 states, where decoding does not rely on it."""

from mrlspk.data.audio.plain_headers import STREAM_INFO_END, parse_stream_info
from mrlspk.data.audio.source import AudioSource
from mrlspk.data.audio.stated_length import count_mp3_frames
from mrlspk.errors import DataError
from mrlspk.reading import reading

FRAME_SAMPLES, LOW_RATE_FRAME_SAMPLES = 1152, 576
LOW_RATE = 32_000  # Hz; below it, MPEG audio has the shorter frames of MPEG-2


def stated_frames(source: AudioSource, codec: str, sample_rate: int) -> int | None:
    """Return the number of samples that a FLAC header or the first frame of an MP3 file states; None without one.

    Raises:
        DataError: If the file cannot be read.
    """
    if codec not in {"flac", "mp3"}:
        return None
    with reading(str(source), DataError), source.open() as file:
        if codec == "mp3":
            count = count_mp3_frames(file)
            return None if count is None else count * _samples_of_frame(sample_rate)
        found = parse_stream_info(file.read(STREAM_INFO_END))
    return None if found is None else found[0].n_frames


def _samples_of_frame(sample_rate: int) -> int:
    return LOW_RATE_FRAME_SAMPLES if sample_rate < LOW_RATE else FRAME_SAMPLES

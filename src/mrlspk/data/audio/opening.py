"""Open audio with the decoder that its content asks for, or with the other one if that fails."""

import os
import stat
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import BinaryIO

from mrlspk.data.audio.completeness import COPY_AGAIN, check_complete
from mrlspk.data.audio.formats import FFMPEG_FORMATS, HEADERLESS_SUFFIXES, SNDFILE_FORMATS, is_playlist, recognise
from mrlspk.data.audio.pcm import PcmStream
from mrlspk.data.audio.resampling import check_rate
from mrlspk.data.audio.sndfile import SndfileStream, open_sndfile
from mrlspk.data.audio.source import AudioSource, as_source
from mrlspk.data.audio.stream import AudioStream, UndecodableError
from mrlspk.data.utterance_ids import NOT_UTF8, RENAME, is_utf8, printable
from mrlspk.errors import DataError
from mrlspk.file_kinds import why_not_audio
from mrlspk.reading import is_file, is_folder, reading

MPEG4_DEMUXER = "mov"  # FFmpeg's

type Open = Callable[[AudioSource], AudioStream]


def open_stream(audio: AudioSource | str | Path, *, ranges: bool = False) -> AudioStream:
    """Open audio of any format that libsndfile or FFmpeg reads.

    Args:
        audio: A source or a file.
        ranges: Open it to read short ranges, which takes less where that is known how.

    Raises:
        DataError: If the audio is absent, empty, cut short, headerless or not audio, has a sample rate out of bounds,
            or a name that is not UTF-8.
    """
    source = as_source(audio)
    size = _check_file(source)
    with ExitStack() as held:
        held.enter_context(reading(str(source), DataError))
        file = held.enter_context(source.open())
        audio_format = recognise(file)
        if audio_format is None and is_playlist(file):
            raise DataError("a playlist, not a recording", str(source), "Give the recordings that it lists.")
        samples = check_complete(file, audio_format, str(source), size)
        if audio_format == "WAV" and samples is not None and (pcm := PcmStream.of(source, file, samples, size)):
            check_rate(pcm.sample_rate, str(source))
            held.pop_all()  # the stream closes the file
            return pcm
        if ranges and audio_format == "MPEG-4" and (aac := _open_aac(source, file, size)):
            held.pop_all()
            return aac
    if audio_format is None and source.suffix in HEADERLESS_SUFFIXES:
        raise _headerless(source)
    stream = _open_by_content(source, audio_format, is_empty=samples is not None and samples.stated == 0)
    if audio_format == "WAV" and samples is not None and samples.stated and isinstance(stream, SndfileStream):
        stream.cut_padding(samples.stated)
    try:
        check_rate(stream.sample_rate, str(source))
    except DataError:
        stream.close()
        raise
    return stream


def _check_file(source: AudioSource) -> int:
    """Return the size; refuse a name that the decoders do not take, an absent file and an empty one."""
    if not is_utf8(str(source)):
        raise DataError(NOT_UTF8, printable(str(source)), RENAME)
    path = source.path
    if path is not None and (size := _size_of_file(path)):
        return size
    if path is not None and not is_file(path, DataError, "Check the path."):
        raise DataError(_why_no_file(path), str(source), "Check the path.")
    with reading(str(source), DataError):
        size = source.size()
    if not size:
        what = f"expected {source.suffix} audio, got an empty file (0 bytes)"
        raise DataError(what, str(source), COPY_AGAIN)
    return size


def _size_of_file(path: Path) -> int:
    """Return the size of a file; 0 for anything else, and for what cannot be looked at."""
    try:
        state = os.stat(path)  # noqa: PTH116 - a path is looked at once for each crop
    except (OSError, ValueError):
        return 0
    return state.st_size if stat.S_ISREG(state.st_mode) else 0


def _why_no_file(path: Path) -> str:
    if is_folder(path, DataError, "Check the path."):
        return "expected an audio file, got a folder"
    with suppress(OSError):  # such as a name that is too long
        if path.is_symlink():
            return "a link to a file that does not exist"
    return "no such file"


def _open_by_content(source: AudioSource, audio_format: str | None, *, is_empty: bool) -> AudioStream:
    """Open a format that libsndfile reads with it, any other with FFmpeg.

    FFmpeg also reads what libsndfile cannot open, and formats whose header does not know its length. The other way
    round, libsndfile is not asked about Ogg and MPEG-4: of a damaged Ogg file it reads the beginning.
    """
    if audio_format == "MPEG-4":
        return _open_mpeg4(source)
    if audio_format not in SNDFILE_FORMATS:
        others = [] if audio_format in FFMPEG_FORMATS else [open_sndfile]
        return _first_that_opens(source, [_open_ffmpeg, *others])
    stream = _first_that_opens(source, [open_sndfile, _open_ffmpeg])
    if not isinstance(stream, SndfileStream):
        return stream
    if stream.n_frames is None and not is_empty:
        stream.close()
        return _open_ffmpeg(source)
    if audio_format == "FLAC" and _holds_more_than_counted(stream, source):
        stream.close()
        from mrlspk.data.audio.ffmpeg import FFmpegStream

        return FFmpegStream(source, decodes_all=True)
    return stream


def _open_ffmpeg(source: AudioSource) -> AudioStream:
    from mrlspk.data.audio.ffmpeg import open_ffmpeg  # PyAV takes a moment to import

    return open_ffmpeg(source)


def _open_aac(source: AudioSource, file: BinaryIO, size: int) -> AudioStream | None:
    from mrlspk.data.audio.aac_ranges import AacRanges

    return AacRanges.of(source, file, size)


def _open_mpeg4(source: AudioSource) -> AudioStream:
    from mrlspk.data.audio.ffmpeg import FFmpegStream

    return _first_that_opens(source, [partial(FFmpegStream, demuxer=MPEG4_DEMUXER)])


def _holds_more_than_counted(stream: SndfileStream, source: AudioSource) -> bool:
    """Return whether a file is larger than its counted samples would be uncompressed.

    Such a FLAC file was looped or joined by a program that kept the first header, or has a large picture.
    """
    return stream.pcm_bytes is not None and source.size() > stream.pcm_bytes


def _first_that_opens(source: AudioSource, decoders: Sequence[Open]) -> AudioStream:
    reasons = []
    for open_by in decoders:
        try:
            return open_by(source)
        except UndecodableError as error:
            reasons.append(error.reason)
    if source.path is not None and (found := why_not_audio(source.path)):
        what, fix = found
        raise DataError(what, str(source), fix)
    raise UndecodableError(source, "; ".join(reasons))


def _headerless(source: AudioSource) -> DataError:
    what = f"headerless {source.suffix} audio: nothing in it states its sample rate and coding"
    fix = "Convert it, e.g. `ffmpeg -f s16le -ar 8000 -ac 1 -i IN OUT.wav` (mulaw, alaw or g722 in place of s16le)."
    return DataError(what, str(source), fix)

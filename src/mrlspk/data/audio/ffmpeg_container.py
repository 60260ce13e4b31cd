"""Open encoded audio with FFmpeg: recordings only, never playlists, URLs or devices."""

import contextlib
import io
from dataclasses import dataclass
from typing import BinaryIO

import av
from av.audio.stream import AudioStream as FFmpegAudio
from av.container import InputContainer
from av.error import FFmpegError

from mrlspk.data.audio.source import AudioSource
from mrlspk.data.audio.stream import UndecodableError
from mrlspk.errors import DataError
from mrlspk.reading import reading

# Demuxers of recordings. Playlists (concat, hls, dash, sdp), image sequences and devices are left out.
DEMUXERS = (
    *("aac", "ac3", "aiff", "amr", "amrnb", "amrwb", "ape", "asf", "ast", "au", "avi", "caf", "dsf", "dss", "dts"),
    *("dtshd", "eac3", "flac", "flv", "g722", "gsm", "iff", "ircam", "lc3", "loas", "matroska", "mlp", "mov", "mp3"),
    *("mpc", "mpc8", "mpeg", "mpegts", "nistsphere", "nut", "ogg", "oma", "paf", "qcp", "rm", "rso", "sds", "shn"),
    *("sln", "sox", "tak", "truehd", "tta", "voc", "vqf", "w64", "wav", "wsd", "wv", "xwma"),
)
OPTIONS = {"format_whitelist": ",".join(DEMUXERS), "protocol_whitelist": "file,subfile"}


@dataclass(frozen=True)
class Opened:
    """An open container and the one stream of it that is decoded."""

    container: InputContainer
    stream: FFmpegAudio


def open_container(encoded: str | BinaryIO, source: AudioSource, *, demuxer: str | None = None) -> Opened:
    """Open encoded audio; video, cover art and other audio streams are not even demuxed.

    Args:
        encoded: An absolute path, or an open file.
        source: Named in errors.
        demuxer: That of FFmpeg, if it is known; None: FFmpeg tries them all.

    Raises:
        DataError: If it is not a recording that FFmpeg can decode.
    """
    try:
        container = av.open(encoded, "r", format=demuxer, options=OPTIONS)
    except FFmpegError as error:
        raise undecodable(source, error) from error
    streams = [each for each in container.streams.audio if each.codec_context is not None]
    if not streams:
        container.close()
        raise UndecodableError(source, "FFmpeg: no audio that it knows")
    chosen = next((each for each in streams if each.disposition & each.disposition.default), streams[0])
    for each in container.streams:
        if each is not chosen:
            each.discard = each.discard.all
    chosen.codec_context.thread_count = 1  # many files are decoded at once; one of them is too little for threads
    try:
        chosen.codec_context.open()
    except FFmpegError as error:  # e.g. 45,569 channels
        container.close()
        raise undecodable(source, error) from error
    return Opened(container, chosen)


def encoded_audio(source: AudioSource, extent: tuple[int, int] | None = None) -> str | BinaryIO:
    """Return what FFmpeg opens: the absolute path of a file, which it never takes for a URL, or else the open source.

    Args:
        source: The encoded audio.
        extent: First byte, and the byte behind the last, of the part to read; None: all of it.

    Raises:
        DataError: If the source cannot be opened.
    """
    if source.path is not None:
        path = str(source.path.absolute())
        return path if extent is None else f"subfile,,start,{extent[0]},end,{extent[1]},,:{path}"
    with reading(str(source), DataError), contextlib.ExitStack() as stack:
        file = source.open()
        if extent is None:
            return file
        stack.callback(file.close)
        file.seek(extent[0])
        return io.BytesIO(file.read(extent[1] - extent[0]))


def undecodable(source: AudioSource, error: FFmpegError) -> UndecodableError:
    """Turn FFmpeg's complaint into ours."""
    return UndecodableError(source, f"FFmpeg: {(error.strerror or str(error)).rstrip('.')}")

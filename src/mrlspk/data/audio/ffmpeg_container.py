"""Open encoded audio with FFmpeg: recordings only, never playlists, URLs or devices."""

from dataclasses import dataclass
from pathlib import Path
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
OPTIONS = {"format_whitelist": ",".join(DEMUXERS), "protocol_whitelist": "file"}


@dataclass(frozen=True)
class Opened:
    """An open container and the one stream of it that is decoded."""

    container: InputContainer
    stream: FFmpegAudio


def open_container(encoded: str | BinaryIO, source: AudioSource) -> Opened:
    """Open encoded audio; video, cover art and other audio streams are not even demuxed.

    Args:
        encoded: An absolute path, or an open file.
        source: Named in errors.

    Raises:
        DataError: If it is not a recording that FFmpeg can decode.
    """
    try:
        container = av.open(encoded, "r", options=OPTIONS)
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
    return Opened(container, chosen)


def encoded_audio(source: AudioSource) -> str | BinaryIO:
    """Return the absolute path of a file, which FFmpeg never takes for a URL, or else the open source.

    Raises:
        DataError: If the source cannot be opened.
    """
    if source.path is not None:
        return str(Path(source.path).absolute())
    with reading(str(source), DataError):
        return source.open()


def undecodable(source: AudioSource, error: FFmpegError) -> UndecodableError:
    """Turn FFmpeg's complaint into ours."""
    return UndecodableError(source, f"FFmpeg: {(error.strerror or str(error)).rstrip('.')}")

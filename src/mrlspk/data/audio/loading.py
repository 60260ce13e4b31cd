"""Decode audio with soundfile (WAV, FLAC, Ogg) or torchcodec (M4A, AAC, MP3): whole, a range, or a random crop."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import soundfile
import torch
import torchaudio
from torch import Tensor

from mrlspk.data.audio.completeness import COPY_AGAIN, check_complete
from mrlspk.data.audio.source import AudioSource, FileSource, RangeSource, as_source
from mrlspk.data.utterance_ids import NOT_UTF8, RENAME, is_utf8, printable
from mrlspk.errors import DataError, MissingDependencyError
from mrlspk.reading import is_file, reading

SAMPLE_RATE = 16_000
SOUNDFILE_SUFFIXES = frozenset({".wav", ".flac", ".ogg"})
TORCHCODEC_SUFFIXES = frozenset({".m4a", ".aac", ".mp3"})
AUDIO_SUFFIXES = SOUNDFILE_SUFFIXES | TORCHCODEC_SUFFIXES
M4A = "ipod"  # its name in FFmpeg
PREROLL_SECONDS = 0.2  # a lossy frame is exact only if its predecessors are decoded too
IMPORT_ERRORS = (ImportError, OSError, RuntimeError)  # torchcodec raises any of these without FFmpeg
RUNTIME_ERRORS = (RuntimeError, ValueError)  # torchcodec raises these for a file that it cannot decode


@dataclass(frozen=True)
class AudioInfo:
    """Content of a header; the duration of a lossy file is an estimate."""

    sample_rate: int
    channels: int
    seconds: float


def load_audio(
    audio: AudioSource | str | Path,
    *,
    sample_rate: int = SAMPLE_RATE,
    start_seconds: float = 0.0,
    seconds: float | None = None,
) -> Tensor:
    """Return a mono float32 waveform (samples,) at ``sample_rate``.

    A range is decoded without what follows it, and is shorter than asked for if the audio ends earlier.

    Args:
        audio: A source or a file with one of `AUDIO_SUFFIXES`.
        sample_rate: Hz of the waveform; other audio is resampled.
        start_seconds: Where the range begins, from the beginning of the source.
        seconds: Length of the range; None for everything that follows.

    Raises:
        DataError: If the audio is absent, empty, cut short or not audio, has a name that is not UTF-8, holds values
            that are not numbers, or ends before ``start_seconds``.
        MissingDependencyError: If the format needs FFmpeg's libraries and they are absent.
    """
    source = _checked(as_source(audio))
    length = _within(source, start_seconds, seconds)
    read = _read_by_soundfile if source.suffix in SOUNDFILE_SUFFIXES else _read_by_torchcodec
    waveform, file_rate = read(source, source.start_seconds + start_seconds, length)
    is_beyond = source.seconds is not None and start_seconds >= source.seconds
    if is_beyond or not waveform.numel():
        fix = "Remove the file, or record it again."
        raise DataError(f"expected audio at {start_seconds:.2f} s, got none", str(source), fix)
    if not torch.isfinite(waveform).all():
        fix = "Write the file again, e.g. as 16-bit PCM."
        raise DataError("holds samples that are not finite numbers", str(source), fix)
    if file_rate != sample_rate:
        waveform = torchaudio.functional.resample(waveform, file_rate, sample_rate)
    return waveform if length is None else waveform[: round(length * sample_rate)]


def probe_audio(audio: AudioSource | str | Path) -> AudioInfo:
    """Return what the header says, without decoding.

    Raises:
        DataError: If the audio is absent, empty, cut short or not audio, or its name is not UTF-8.
        MissingDependencyError: If the format needs FFmpeg's libraries and they are absent.
    """
    source = _checked(as_source(audio))
    info = _probe_by_soundfile(source) if source.suffix in SOUNDFILE_SUFFIXES else _probe_by_torchcodec(source)
    if source.start_seconds == 0 and source.seconds is None:
        return info
    left = max(info.seconds - source.start_seconds, 0.0)
    return replace(info, seconds=left if source.seconds is None else min(source.seconds, left))


def random_crop(
    audio: AudioSource | Path, n_samples: int, rng: np.random.Generator, *, sample_rate: int = SAMPLE_RATE
) -> Tensor:
    """Return (n_samples,) from a random place, decoding little else; shorter audio is repeated.

    The header only proposes the place: if the decoded range is too short, the whole audio is decoded.

    Raises:
        DataError: If the audio cannot be read.
    """
    place = rng.random()
    seconds = n_samples / sample_rate
    spare_seconds = probe_audio(audio).seconds - seconds
    if spare_seconds > 0:
        try:
            part = load_audio(audio, sample_rate=sample_rate, start_seconds=place * spare_seconds, seconds=seconds)
        except DataError:  # the header overstates the duration
            part = None
        if part is not None and part.numel() == n_samples:
            return part
    whole = load_audio(audio, sample_rate=sample_rate)
    start = int(place * max(whole.numel() - n_samples + 1, 0))
    return repeat_to(whole[start:], n_samples)


def repeat_to(waveform: Tensor, n_samples: int) -> Tensor:
    """Return the first ``n_samples`` of ``waveform`` (samples,) repeated endlessly."""
    return waveform.repeat(-(-n_samples // waveform.numel()))[:n_samples]


def save_m4a(path: Path, waveform: Tensor, *, waveform_rate: int = SAMPLE_RATE) -> None:
    """Write a waveform (samples,) of ``waveform_rate`` Hz, values in [-1, 1], as AAC at `SAMPLE_RATE`.

    Raises:
        MissingDependencyError: If FFmpeg's libraries are absent.
        OSError: If the file cannot be written.
    """
    try:
        from torchcodec.encoders import AudioEncoder
    except IMPORT_ERRORS as error:
        raise _without_ffmpeg(FileSource(str(path))) from error
    encoded = AudioEncoder(waveform[None], sample_rate=waveform_rate).to_tensor(M4A, sample_rate=SAMPLE_RATE)
    path.write_bytes(encoded.numpy().tobytes())  # its to_file fails on a full disk with an error of its own


def _within(source: AudioSource, start_seconds: float, seconds: float | None) -> float | None:
    """Return the seconds to decode, none of them beyond the end of the source; None for everything that follows."""
    if source.seconds is None:
        return seconds
    left = max(source.seconds - start_seconds, 0.0)
    return left if seconds is None else min(seconds, left)


def _checked(source: AudioSource) -> AudioSource:
    """Return ``source`` if it is complete and its suffix is known."""
    if not is_utf8(str(source)):  # the decoders take no other names
        raise DataError(NOT_UTF8, printable(str(source)), RENAME)
    if source.suffix not in AUDIO_SUFFIXES:
        expected, found = ", ".join(sorted(AUDIO_SUFFIXES)), source.suffix or "no suffix"
        raise DataError(f"expected a file ending in {expected}, got {found!r}", str(source))
    if source.path is not None and not is_file(source.path, DataError, "Check the path."):
        raise DataError("no such file", str(source), "Check the path.")
    check_complete(source)
    return source


def _encoded(source: AudioSource) -> str | BinaryIO:
    """Return what a decoder reads: the path of a file, which is faster, or else the open source."""
    if source.path is not None:
        return str(source.path)
    with reading(str(source), DataError):
        return source.open()


def _read_by_soundfile(source: AudioSource, start_seconds: float, seconds: float | None) -> tuple[Tensor, int]:
    """Return (samples,) and its rate; a file of fewer samples than its header counts is an error."""
    try:
        with soundfile.SoundFile(_encoded(source)) as file:
            rate: int = file.samplerate
            start = min(round(start_seconds * rate), file.frames)
            count = file.frames - start if seconds is None else min(_length(seconds, rate), file.frames - start)
            if count <= 0:
                return torch.empty(0), rate
            file.seek(start)
            samples = file.read(count, dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise _undecodable(source, error) from error
    if len(samples) < count:
        raise DataError(f"cut short: expected {count} samples, got {len(samples)}", str(source), COPY_AGAIN)
    return torch.from_numpy(samples).mean(dim=1), rate


def _read_by_torchcodec(source: AudioSource, start_seconds: float, seconds: float | None) -> tuple[Tensor, int]:
    """Return (samples,) and its rate, decoded from a little before the range."""
    decoder = _open_decoder(source)
    rate: int = decoder.metadata.sample_rate
    origin: float = decoder.metadata.begin_stream_seconds or 0.0  # an MP3 stream does not begin at zero
    begin = origin + start_seconds
    try:
        if start_seconds == 0 and seconds is None:
            decoded = decoder.get_all_samples()
        else:
            end = None if seconds is None else begin + _length(seconds, rate) / rate
            decoded = decoder.get_samples_played_in_range(max(origin, begin - PREROLL_SECONDS), end)
    except RUNTIME_ERRORS as error:
        if "No audio frames were decoded" in str(error):  # the range begins after the end
            return torch.empty(0), rate
        raise _undecodable(source, error) from error
    skipped = max(round((begin - decoded.pts_seconds) * rate), 0)
    return decoded.data.mean(dim=0)[skipped:], rate


def _length(seconds: float, rate: int) -> int:
    """Return the samples to read for a range; a few more than it holds, so that rounding leaves none out."""
    return round(seconds * rate) + 4


def _probe_by_soundfile(source: AudioSource) -> AudioInfo:
    try:
        info = soundfile.info(_encoded(source))
    except soundfile.LibsndfileError as error:
        raise _undecodable(source, error) from error
    return AudioInfo(info.samplerate, info.channels, info.frames / info.samplerate)


def _probe_by_torchcodec(source: AudioSource) -> AudioInfo:
    metadata = _open_decoder(source).metadata
    seconds = metadata.duration_seconds
    if seconds is None:  # a stream without a header
        whole = source.whole if isinstance(source, RangeSource) else source
        seconds = load_audio(whole).numel() / SAMPLE_RATE
    return AudioInfo(metadata.sample_rate, metadata.num_channels, seconds)


def _open_decoder(source: AudioSource) -> Any:
    try:
        from torchcodec.decoders import AudioDecoder
    except IMPORT_ERRORS as error:
        raise _without_ffmpeg(source) from error
    try:
        return AudioDecoder(_encoded(source))
    except RUNTIME_ERRORS as error:
        raise _undecodable(source, error) from error


def _without_ffmpeg(source: AudioSource) -> MissingDependencyError:
    return MissingDependencyError(
        f"{source.suffix} files need FFmpeg's shared libraries (version 4 to 8), which were not found",
        str(source),
        "Install FFmpeg: 'apt-get install ffmpeg' on Debian and Ubuntu, 'brew install ffmpeg' on macOS; "
        "or convert the audio to WAV or FLAC.",
    )


def _undecodable(source: AudioSource, error: Exception) -> DataError:
    """Turn a decoder's complaint into ours, without the decoder's own source lines."""
    if source.size() == 0:
        return DataError(f"expected {source.suffix} audio, got an empty file (0 bytes)", str(source), COPY_AGAIN)
    reason = str(error).rsplit(".cpp:", 1)[-1].partition(", ")[2] or str(error)
    for name in (f"'{source}'", str(source)):
        reason = reason.replace(name, "")
    reason = reason.replace(" : ", ": ").strip().rstrip(".")
    what = f"cannot be decoded as {source.suffix} audio ({reason})"
    return DataError(what, str(source), COPY_AGAIN)

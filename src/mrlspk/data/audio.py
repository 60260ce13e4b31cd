"""Audio files to waveforms: one function over soundfile (WAV, FLAC, Ogg) and torchcodec (M4A, AAC, MP3)."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import soundfile
import torch
import torchaudio
from torch import Tensor

from mrlspk.data.containers import COPY_AGAIN, check_complete
from mrlspk.data.names import NOT_UTF8, RENAME, is_utf8, printable
from mrlspk.errors import DataError, MissingDependencyError

SAMPLE_RATE = 16_000
SOUNDFILE_SUFFIXES = frozenset({".wav", ".flac", ".ogg"})
TORCHCODEC_SUFFIXES = frozenset({".m4a", ".aac", ".mp3"})
AUDIO_SUFFIXES = SOUNDFILE_SUFFIXES | TORCHCODEC_SUFFIXES

PREROLL_SECONDS = 0.2  # a lossy frame is whole only when its predecessors were decoded too
IMPORT_ERRORS = (ImportError, OSError, RuntimeError)  # torchcodec raises any of these without FFmpeg
RUNTIME_ERRORS = (RuntimeError, ValueError)  # what torchcodec raises for a file that it cannot decode


@dataclass(frozen=True)
class AudioInfo:
    """What the header says; the duration of a lossy file is an estimate."""

    sample_rate: int
    channels: int
    seconds: float


def load_audio(
    path: str | Path, *, sample_rate: int = SAMPLE_RATE, start_seconds: float = 0.0, seconds: float | None = None
) -> Tensor:
    """Return a mono float32 waveform (samples,) at ``sample_rate``.

    A range is decoded without what follows it, and shorter than asked for where the file ends earlier.

    Args:
        path: A file with one of `AUDIO_SUFFIXES`.
        sample_rate: Hz of the waveform; other audio is resampled.
        start_seconds: Where the range begins.
        seconds: Length of the range; None for all that follows.

    Raises:
        DataError: If the file is absent, empty, cut short or not audio, has a name that is not UTF-8, holds values that
            are not numbers, or ends before ``start_seconds``.
        MissingDependencyError: If the format needs FFmpeg's libraries and they are absent.
    """
    path = _checked(Path(path))
    read = _read_by_soundfile if path.suffix.lower() in SOUNDFILE_SUFFIXES else _read_by_torchcodec
    waveform, file_rate = read(path, start_seconds, seconds)
    if not waveform.numel():
        raise DataError(
            f"expected audio at {start_seconds:.2f} s, got none", path, "Remove the file, or record it again."
        )
    if not torch.isfinite(waveform).all():
        raise DataError("holds samples that are not finite numbers", path, "Write the file again, e.g. as 16-bit PCM.")
    if file_rate != sample_rate:
        waveform = torchaudio.functional.resample(waveform, file_rate, sample_rate)
    return waveform if seconds is None else waveform[: round(seconds * sample_rate)]


def probe_audio(path: str | Path) -> AudioInfo:
    """Return what the header says, without decoding.

    Raises:
        DataError: If the file is absent, empty, cut short or not audio, or its name is not UTF-8.
        MissingDependencyError: If the format needs FFmpeg's libraries and they are absent.
    """
    path = _checked(Path(path))
    if path.suffix.lower() in SOUNDFILE_SUFFIXES:
        try:
            info = soundfile.info(str(path))
        except soundfile.LibsndfileError as error:
            raise _undecodable(path, error) from error
        return AudioInfo(info.samplerate, info.channels, info.frames / info.samplerate)
    metadata = _open_decoder(path).metadata
    seconds = metadata.duration_seconds
    if seconds is None:  # a stream without a header
        seconds = load_audio(path).numel() / SAMPLE_RATE
    return AudioInfo(metadata.sample_rate, metadata.num_channels, seconds)


def save_m4a(path: Path, waveform: Tensor, *, waveform_rate: int = SAMPLE_RATE) -> None:
    """Write a waveform (samples,) of ``waveform_rate`` Hz, values in [-1, 1], as AAC at `SAMPLE_RATE`.

    Raises:
        MissingDependencyError: If FFmpeg's libraries are absent.
    """
    try:
        from torchcodec.encoders import AudioEncoder
    except IMPORT_ERRORS as error:
        raise _without_ffmpeg(path) from error
    AudioEncoder(waveform[None], sample_rate=waveform_rate).to_file(str(path), sample_rate=SAMPLE_RATE)


def _checked(path: Path) -> Path:
    """Return ``path`` where it is a file of a known format that is all there."""
    if not is_utf8(str(path)):  # the decoders take no other names
        raise DataError(NOT_UTF8, printable(path), RENAME)
    if path.suffix.lower() not in AUDIO_SUFFIXES:
        expected = ", ".join(sorted(AUDIO_SUFFIXES))
        raise DataError(f"expected a file ending in {expected}, got {path.suffix or 'no suffix'!r}", path)
    if not path.is_file():
        raise DataError("no such file", path, "Check the path.")
    check_complete(path)
    return path


def _read_by_soundfile(path: Path, start_seconds: float, seconds: float | None) -> tuple[Tensor, int]:
    """Return (samples,) and its rate; a file of fewer samples than its header counts is an error."""
    try:
        with soundfile.SoundFile(str(path)) as file:
            rate: int = file.samplerate
            start = min(round(start_seconds * rate), file.frames)
            count = file.frames - start if seconds is None else min(_length(seconds, rate), file.frames - start)
            if count <= 0:
                return torch.empty(0), rate
            file.seek(start)
            samples = file.read(count, dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise _undecodable(path, error) from error
    if len(samples) < count:
        raise DataError(f"cut short: expected {count} samples, got {len(samples)}", path, COPY_AGAIN)
    return torch.from_numpy(samples).mean(dim=1), rate


def _read_by_torchcodec(path: Path, start_seconds: float, seconds: float | None) -> tuple[Tensor, int]:
    """Return (samples,) and its rate, decoded from a little before the range."""
    decoder = _open_decoder(path)
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
        if "No audio frames were decoded" in str(error):  # the range begins behind the end
            return torch.empty(0), rate
        raise _undecodable(path, error) from error
    skipped = max(round((begin - decoded.pts_seconds) * rate), 0)
    return decoded.data.mean(dim=0)[skipped:], rate


def _length(seconds: float, rate: int) -> int:
    """Return the samples to read for a range; a few more than it holds, so that rounding leaves none out."""
    return round(seconds * rate) + 4


def _open_decoder(path: Path) -> Any:
    try:
        from torchcodec.decoders import AudioDecoder
    except IMPORT_ERRORS as error:
        raise _without_ffmpeg(path) from error
    try:
        return AudioDecoder(str(path))
    except RUNTIME_ERRORS as error:
        raise _undecodable(path, error) from error


def _without_ffmpeg(path: Path) -> MissingDependencyError:
    return MissingDependencyError(
        f"{path.suffix} files need FFmpeg's shared libraries (version 4 to 8), which were not found",
        path,
        "Install FFmpeg: 'apt-get install ffmpeg' on Debian and Ubuntu, 'brew install ffmpeg' on macOS; "
        "or convert the audio to WAV or FLAC.",
    )


def _undecodable(path: Path, error: Exception) -> DataError:
    """Turn a decoder's complaint into ours, without the decoder's own source lines."""
    if path.stat().st_size == 0:
        return DataError(f"expected {path.suffix} audio, got an empty file (0 bytes)", path, COPY_AGAIN)
    reason = str(error).rsplit(".cpp:", 1)[-1].partition(", ")[2] or str(error)
    reason = reason.replace(f"'{path}'", "").replace(str(path), "").replace(" : ", ": ").strip().rstrip(".")
    return DataError(f"expected {path.suffix} audio, got what no decoder reads ({reason})", path, COPY_AGAIN)

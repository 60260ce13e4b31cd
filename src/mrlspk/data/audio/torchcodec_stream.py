"""Read audio with torchcodec, until PyAV does."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrlspk.data.audio.source import AudioSource
from mrlspk.data.audio.stream import UndecodableError
from mrlspk.errors import MissingDependencyError

RUNTIME_ERRORS = (RuntimeError, ValueError)


def open_ffmpeg(source: AudioSource) -> "TorchcodecStream":
    """Open audio with torchcodec."""
    return TorchcodecStream(source)


class TorchcodecStream:
    """Audio that torchcodec decodes, whole."""

    def __init__(self, source: AudioSource) -> None:
        try:
            from torchcodec.decoders import AudioDecoder
        except (ImportError, OSError, RuntimeError) as error:
            raise MissingDependencyError(
                f"{source.suffix} files need FFmpeg's shared libraries (version 4 to 8), which were not found",
                str(source),
                "Install FFmpeg: 'apt-get install ffmpeg' on Debian and Ubuntu, 'brew install ffmpeg' on macOS; "
                "or convert the audio to WAV or FLAC.",
            ) from error
        try:
            decoder: Any = AudioDecoder(str(source.path) if source.path else source.open())
            samples = decoder.get_all_samples()
        except RUNTIME_ERRORS as error:
            reason = (str(error).rsplit(".cpp:", 1)[-1].partition(", ")[2] or str(error)).replace(str(source), "")
            raise UndecodableError(source, f"FFmpeg: {reason}") from error
        self._samples: NDArray[np.float32] = samples.data.numpy().T
        self.sample_rate: int = samples.sample_rate
        self.channels: int = self._samples.shape[1]
        self.n_frames: int | None = len(self._samples)
        self.damage: str | None = None

    def blocks(self, start: int = 0) -> Iterator[NDArray[np.float32]]:
        """Yield the samples from frame ``start`` on."""
        for position in range(start, len(self._samples), self.sample_rate):
            yield self._samples[position : position + self.sample_rate]

    def count_frames(self) -> int:
        """Return the number of frames."""
        return len(self._samples)

    def close(self) -> None:
        """Do nothing."""

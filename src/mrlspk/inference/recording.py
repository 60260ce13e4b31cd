"""What is to be embedded: a file, or the middle of it."""

from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from mrlspk.data.audio import SAMPLE_RATE


@dataclass(frozen=True)
class Recording:
    """An audio file, whole or the middle ``crop_seconds`` of what it decodes to.

    A file that is shorter than that counts as too short, unless ``short_is_whole``: then all of it is taken.
    """

    path: Path
    crop_seconds: float | None = None
    short_is_whole: bool = False

    def crop(self, waveform: Tensor) -> Tensor | None:
        """Return the part wanted of the whole file's (samples,); None where the file is shorter than that."""
        if self.crop_seconds is None:
            return waveform
        n_samples = round(self.crop_seconds * SAMPLE_RATE)
        if waveform.numel() < n_samples:
            return waveform if self.short_is_whole else None
        start = (waveform.numel() - n_samples) // 2
        return waveform[start : start + n_samples].clone()  # a view would keep the whole file in memory

"""Plan the windows of a recording that are embedded.

Everything but speech is cut out first. Of the speech the crop is taken, and of the crop the fewest equal windows.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from mrlspk.data.audio.levels import SILENT_PEAK
from mrlspk.inference.decoding import Decoded, Samples
from mrlspk.inference.embedding_checks import check_length
from mrlspk.inference.recording import QUIET, SHORT, SILENT, EmbeddedRecording
from mrlspk.inference.spans import Spans, count_samples, equal_windows, middle_of, whole_span

SHORT_SECONDS = 1.0
QUIET_PEAK = 0.005  # -46 dB of full scale: below it the vectors of different speakers become alike

type Vector = NDArray[np.float32]  # (values,)


@dataclass(frozen=True, eq=False)
class Windows:
    """The windows of a recording, all of one length.

    Attributes:
        decoded: The recording.
        spans: Samples of each window.
        seconds: As of `EmbeddedRecording`.
        speech_seconds: Likewise.
        warnings: Known before the windows are read.
    """

    decoded: Decoded
    spans: tuple[Spans, ...]
    seconds: float
    speech_seconds: float | None
    warnings: tuple[str, ...]

    def read(self) -> Iterator[Samples]:
        """Yield the samples of each window.

        Raises:
            DataError: If the recording can no longer be read as before.
        """
        return self.decoded.read(self.spans)

    def recording_of(self, peak: float) -> Callable[[Vector], EmbeddedRecording]:
        """Return a function from the embedding to all that is known; ``peak`` is the largest amplitude in the windows.

        The function does not hold the samples.
        """
        silent = peak < SILENT_PEAK if self.speech_seconds is None else self.speech_seconds == 0
        level = [SILENT] if silent else [QUIET] if peak < QUIET_PEAK else []
        warnings = (*level, *self.warnings)
        return partial(EmbeddedRecording, seconds=self.seconds, warnings=warnings, speech_seconds=self.speech_seconds)


@dataclass(frozen=True, eq=False)
class Kept:
    """What is kept of a recording: its speech, or all of it.

    Attributes:
        decoded: The recording.
        spans: Samples that are kept.
        found: Whether they are speech; None if it was not searched.
    """

    decoded: Decoded
    spans: Spans
    found: bool | None

    @property
    def seconds(self) -> float:
        """Length of what is kept."""
        return count_samples(self.spans) / self.decoded.sample_rate

    def is_shorter_than(self, crop_seconds: float | None) -> bool:
        """Return whether there is less than a crop; never if there is no crop."""
        return crop_seconds is not None and count_samples(self.spans) < round(crop_seconds * self.decoded.sample_rate)

    def cut(self, *, max_seconds: float, min_samples: int, crop_seconds: float | None = None) -> Windows:
        """Return the fewest equal windows.

        Args:
            max_seconds: Longest window.
            min_samples: The fewest samples of an embedding.
            crop_seconds: Take only the middle; all if it is shorter. None: take all.

        Raises:
            DataError: If there are too few samples.
        """
        rate, cropped = self.decoded.sample_rate, self.spans
        if crop_seconds is not None and not self.is_shorter_than(crop_seconds):
            cropped = middle_of(self.spans, round(crop_seconds * rate))
        n_samples = count_samples(cropped)
        check_length(n_samples, min_samples, self.decoded.name, sample_rate=rate)
        short = self.found is not False and self.seconds < SHORT_SECONDS
        return Windows(
            self.decoded,
            equal_windows(cropped, max_seconds * rate),
            seconds=(self.decoded.n_samples if crop_seconds is None else n_samples) / rate,
            speech_seconds=None if self.found is None else self.found * n_samples / rate,
            warnings=(*([SHORT] if short else []), *self.decoded.warnings),
        )


def keep_speech(decoded: Decoded, *, min_samples: int) -> Kept:
    """Keep the speech that was found; all audio if it was not searched, or is too little for an embedding."""
    if decoded.speech is not None and count_samples(decoded.speech) >= min_samples:
        return Kept(decoded, decoded.speech, found=True)
    return Kept(decoded, whole_span(decoded.n_samples), found=None if decoded.speech is None else False)


def find_peak(samples: Samples) -> float:
    """Return the largest amplitude of (samples,)."""
    return float(max(samples.max(), -samples.min()))

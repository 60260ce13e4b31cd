"""Write audio as AAC in MPEG-4."""

import io
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import soxr

if TYPE_CHECKING:
    from torch import Tensor

M4A = "ipod"  # its name in FFmpeg
SAMPLE_RATE = 16_000


def save_m4a(path: Path, waveform: "Tensor", *, waveform_rate: int = SAMPLE_RATE) -> None:
    """Write a waveform (samples,) of ``waveform_rate`` Hz, values in [-1, 1], as AAC at 16 kHz.

    Raises:
        OSError: If the file cannot be written.
    """
    import av  # only files that libsndfile does not read need it
    from av.audio.frame import AudioFrame

    samples = soxr.resample(waveform.numpy().astype(np.float32), waveform_rate, SAMPLE_RATE)
    frame = AudioFrame.from_ndarray(samples[None], format="fltp", layout="mono")
    frame.sample_rate, frame.pts = SAMPLE_RATE, 0  # from the time stamp the file states the encoder's delay
    encoded = io.BytesIO()
    with av.open(encoded, "w", format=M4A) as container:
        stream = container.add_stream("aac", rate=SAMPLE_RATE, layout="mono")
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    path.write_bytes(encoded.getvalue())  # a full disk is then one error of this line

"""Write AAC and MP3 with the encoders of PyAV, and other formats with command-line tools."""

from pathlib import Path

import av
import numpy as np
from av.audio.frame import AudioFrame

ENCODERS = {".m4a": "aac", ".aac": "aac", ".mp3": "mp3"}


def write_lossy(path: Path, samples: np.ndarray, rate: int = 16_000) -> Path:
    """Write (samples,) in the format of the suffix; the decoder adds no noise of its own."""
    frame = AudioFrame.from_ndarray(samples[None].astype(np.float32), format="fltp", layout="mono")
    frame.sample_rate, frame.pts = rate, 0
    encoder = ENCODERS[path.suffix]
    with av.open(str(path), "w") as container:
        options = {"aac_pns": "0"} if encoder == "aac" else {}
        stream = container.add_stream(encoder, rate=rate, layout="mono", options=options)
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path

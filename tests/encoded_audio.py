"""Encode short signals with PyAV and with command-line tools."""

import subprocess
from pathlib import Path

import av
import numpy as np
import soundfile
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


def write_by(tool: str, path: Path, samples: np.ndarray, rate: int = 16_000) -> Path:
    """Encode (samples,) or (samples, channels) with a command in which IN and OUT stand for files."""
    wav = path.with_name(f"{path.name}.source.wav")
    soundfile.write(wav, samples, rate)
    command = [{"IN": str(wav), "OUT": str(path)}.get(word, word) for word in tool.split()]
    subprocess.run(command, check=True, capture_output=True)
    wav.unlink()
    return path


def write_by_ffmpeg(
    path: Path, samples: np.ndarray, options: str = "", rate: int = 16_000, *, inputs: str = ""
) -> Path:
    """Encode with the program ffmpeg; AAC without noise substitution, so that decoding is deterministic."""
    return write_by(f"ffmpeg -v error -y -i IN {inputs} -aac_pns 0 {options} OUT", path, samples, rate)

"""Build the speech detector that a user chose."""

from mrlspk.config.evaluation import SpeechMode
from mrlspk.data.speech.detector import SpeechDetector
from mrlspk.data.speech.energy import EnergyDetector
from mrlspk.data.speech.silero import load_silero


def build_detector(mode: SpeechMode) -> SpeechDetector | None:
    """Return the detector, or None if all of a recording is embedded.

    Raises:
        MissingDependencyError: If Silero VAD or ONNX Runtime is not installed.
    """
    if mode == "all":
        return None
    return load_silero() if mode == "silero" else EnergyDetector()

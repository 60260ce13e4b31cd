"""Choose the speech that `verify` embeds, and name the recordings that it cannot decide on."""

from collections.abc import Iterable
from dataclasses import dataclass

from mrlspk.config.evaluation import SpeechMode
from mrlspk.data.audio import SAMPLE_RATE, open_audio
from mrlspk.data.audio.source import AudioSource
from mrlspk.data.speech.build import build_detector
from mrlspk.data.speech.detector import SpeechDetector
from mrlspk.data.speech.energy import EnergyDetector
from mrlspk.errors import CheckpointError, UsageError
from mrlspk.evaluation.calibration_file import CalibrationFile, calibrate_command
from mrlspk.inference.model_file import ModelFile
from mrlspk.inference.recording import QUIET, SHORT, SILENT, EmbeddedRecording

LEAST_SECONDS = 1.0  # of speech
LEAST_SHARE = 0.5  # of speech in a recording that is embedded whole


@dataclass(frozen=True)
class VerifiedFile:
    """A recording and its warnings.

    Attributes:
        path: As typed.
        seconds: Length.
        speech_seconds: Speech in it; None if no detector was used.
        warnings: Such as ``silent``.
        embedded_whole: Whether its pauses were embedded too.
    """

    path: str
    seconds: float
    speech_seconds: float | None
    warnings: tuple[str, ...]
    embedded_whole: bool = False

    @property
    def is_silent(self) -> bool:
        """Whether it holds no speech."""
        return SILENT in self.warnings or self.speech_seconds == 0

    @property
    def doubt(self) -> str | None:
        """Why speech that is faint or little gets no decision; None if it gets one."""
        if self.is_silent:
            return None
        if QUIET in self.warnings:
            return f"{self.path} is too quiet"
        if self.speech_seconds is None:
            return None
        found = f"only {self.speech_seconds:.1f} of {self.seconds:.1f} s of {self.path} is speech"
        if SHORT in self.warnings or self.speech_seconds < LEAST_SECONDS:
            return f"{found}; a decision needs {LEAST_SECONDS:g} s"
        if self.embedded_whole and self.speech_seconds < LEAST_SHARE * self.seconds:
            return f"{found}, and the calibration is of whole recordings; calibrate the model with `speech=auto`"
        return None


def explain_no_decision(files: Iterable[VerifiedFile]) -> str | None:
    """Return why there is no decision on recordings; None if each of them can have one."""
    files = tuple(files)
    reasons = [each.doubt for each in files if each.doubt]
    if silent := list(dict.fromkeys(each.path for each in files if each.is_silent)):
        hold = "hold" if len(silent) > 1 else "holds"
        reasons.insert(0, f"{' and '.join(silent)} {hold} no speech")
    return "; ".join(dict.fromkeys(reasons)) or None


def choose_detector(
    asked: SpeechMode | None, calibration: CalibrationFile | None, model: ModelFile
) -> SpeechDetector | None:
    """Return the detector that the calibration was fitted with, or without a calibration the one asked for.

    Args:
        asked: The mode that the user names; None for the calibration's, or ``auto`` without one.
        calibration: Of the model, if there is one.
        model: For error messages.

    Raises:
        UsageError: If the calibration was fitted with another mode than the user names.
        CheckpointError: If it was fitted with another version of the detector.
        MissingDependencyError: If the detector is not installed.
    """
    if calibration is None:
        return build_detector(asked or "auto")
    fitted = calibration.content
    if asked not in {None, fitted.speech}:
        raise UsageError(
            f"the calibration was fitted with `speech={fitted.speech}`, not with `speech={asked}`",
            calibration.path,
            f"Leave `speech` out, or calibrate: {calibrate_command(model, calibration.path, speech=str(asked))}",
        )
    detector = build_detector(fitted.speech)
    if detector is not None and detector.version != fitted.speech_detector:
        raise CheckpointError(
            f"was fitted with the speech detector {fitted.speech_detector}, and this release has {detector.version}",
            calibration.path,
            f"To calibrate: {calibrate_command(model, calibration.path, speech=fitted.speech)}",
        )
    return detector


def describe_file(path: str, source: AudioSource, embedded: EmbeddedRecording, *, decides: bool) -> VerifiedFile:
    """Return a recording with the speech in it.

    Args:
        path: As typed.
        source: The recording.
        embedded: Its embedding.
        decides: Whether there may be a decision: then speech is also measured in a recording that is embedded whole.
    """
    speech = embedded.speech_seconds
    whole = speech is None
    if whole and decides and SILENT not in embedded.warnings:
        speech = measure_speech(source)
    return VerifiedFile(path, embedded.seconds, speech, embedded.warnings, embedded_whole=whole)


def measure_speech(source: AudioSource) -> float:
    """Return the seconds of speech that ``auto`` finds.

    Raises:
        DataError: If the recording cannot be read.
    """
    search = EnergyDetector().search()
    with open_audio(source, sample_rate=SAMPLE_RATE) as audio:
        for block in audio.blocks():
            search.add(block)
    intervals = search.intervals()
    return float((intervals[:, 1] - intervals[:, 0]).sum()) / SAMPLE_RATE

"""Check what a file is without hearing it: its length, its sample rate, its channels."""

from collections.abc import Iterator
from dataclasses import dataclass

from mrlspk.data.audio import SAMPLE_RATE
from mrlspk.data.audio.channels import CHANNELS_CANCEL, CHANNELS_DIFFER
from mrlspk.data.audio.headers import AudioHeader, segment_fault
from mrlspk.data.manifest import Utterance
from mrlspk.data.problems import Problem, error, warning

TOO_SHORT_SAMPLES = 256  # at 16 kHz; the network needs more
LENGTH_TOLERANCE_SECONDS = 0.2  # between stated and decoded length: delay and padding of MP3, two of its frames
_CHANNELS = {
    CHANNELS_DIFFER: ("channels_differ", " that differ, such as two parties of a call: averaged unless `channel` "
                      "names one"),
    CHANNELS_CANCEL: ("channels_cancel", " that cancel each other in their average: name one with `channel`"),
}  # fmt: skip


@dataclass(frozen=True)
class AudioNeeds:
    """What a model needs of its audio.

    Attributes:
        model: Its path or name.
        sample_rate: Hz.
        min_samples: The fewest samples at that rate.
    """

    model: str
    sample_rate: int
    min_samples: int


def check_length(utterance_id: str, seconds: float, needs: AudioNeeds | None) -> Iterator[Problem]:
    """Find audio that is too short for any network, or for a given model."""
    if seconds * SAMPLE_RATE <= TOO_SHORT_SAMPLES:
        expected = f"{TOO_SHORT_SAMPLES * 1000 // SAMPLE_RATE} ms ({TOO_SHORT_SAMPLES} samples at {SAMPLE_RATE} Hz)"
        yield error("too_short", utterance_id, f"expected more than {expected}, got {seconds * 1000:.1f} ms")
    elif needs and round(seconds * needs.sample_rate) < needs.min_samples:
        least = f"{needs.min_samples * 1000 / needs.sample_rate:.1f} ms, as {needs.model} needs"
        yield error("too_short", utterance_id, f"expected at least {least}, got {seconds * 1000:.1f} ms")


def check_segment(utterance: Utterance, header: AudioHeader) -> Iterator[Problem]:
    """Find a segment that ends after its recording, or begins there."""
    if fault := segment_fault(utterance.source, header):
        yield error("segment_end", utterance.utterance_id, fault)


def check_rate(utterance_id: str, sample_rate: int, needs: AudioNeeds | None) -> Iterator[Problem]:
    """Find audio of a lower sample rate than its model's."""
    wanted = needs.sample_rate if needs else SAMPLE_RATE
    if sample_rate < wanted:
        yield warning("sample_rate", utterance_id, f"expected {wanted} Hz, got {sample_rate} Hz: resampled")


def check_channels(utterance: Utterance, n_channels: int, heard: tuple[str, ...]) -> Iterator[Problem]:
    """Find audio of several channels that would be averaged; ``heard`` is what decoding found out about them."""
    if n_channels > 1 and utterance.source.channel == "mix":
        known = (found for name, found in _CHANNELS.items() if name in heard)
        kind, how = next(known, ("channels", ": averaged"))
        yield warning(kind, utterance.utterance_id, f"expected one channel, got {n_channels}{how}")


def check_decoded(utterance_id: str, stated_seconds: float | None, decoded_seconds: float) -> Iterator[Problem]:
    """Find audio that is longer or shorter than its header states exactly."""
    if stated_seconds is not None and abs(decoded_seconds - stated_seconds) > LENGTH_TOLERANCE_SECONDS:
        message = f"expected {stated_seconds:.1f} s of audio, got {decoded_seconds:.1f} s"
        yield warning("duration", utterance_id, message)

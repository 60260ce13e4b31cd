"""Decode audio of any format to mono waveforms: whole, a range, a random crop, or block after block."""

from mrlspk.data.audio.loading import (
    AUDIO_SUFFIXES,
    SAMPLE_RATE,
    AudioInfo,
    load_audio,
    probe_audio,
    random_crop,
    repeat_to,
    save_m4a,
)

__all__ = [
    "AUDIO_SUFFIXES",
    "SAMPLE_RATE",
    "AudioInfo",
    "load_audio",
    "probe_audio",
    "random_crop",
    "repeat_to",
    "save_m4a",
]

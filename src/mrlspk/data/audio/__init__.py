"""Decode audio of any format to mono waveforms: whole, a range, a random crop, or block after block."""

from mrlspk.data.audio.formats import AUDIO_SUFFIXES
from mrlspk.data.audio.loading import AudioInfo, load_audio, probe_audio, random_crop, repeat_to
from mrlspk.data.audio.m4a import save_m4a
from mrlspk.data.audio.reader import SAMPLE_RATE, AudioReader, open_audio

__all__ = [
    "AUDIO_SUFFIXES",
    "SAMPLE_RATE",
    "AudioInfo",
    "AudioReader",
    "load_audio",
    "open_audio",
    "probe_audio",
    "random_crop",
    "repeat_to",
    "save_m4a",
]

"""Recordings that say too little about a voice."""

import pytest

from mrlspk.index.enrolment.refusals import refusal
from mrlspk.inference.embed_many import EmbeddedAudio


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (EmbeddedAudio(0, "a.wav", seconds=9, speech_seconds=1.0), None),
        (EmbeddedAudio(0, "a.wav", seconds=9, speech_seconds=0.94), "has 0.9 s of speech, and a voice needs 1 s"),
        (EmbeddedAudio(0, "a.wav", seconds=9, speech_seconds=0.0, warnings=("silent",)), "holds no speech"),
        (EmbeddedAudio(0, "a.wav", seconds=9, speech_seconds=None, warnings=("silent",)), "holds no speech"),
        (EmbeddedAudio(0, "a.wav", seconds=0.5, speech_seconds=None), "has 0.5 s of speech, and a voice needs 1 s"),
        (EmbeddedAudio(0, "a.wav", seconds=9, speech_seconds=None), None),
    ],
)
def test_recording_without_a_second_of_speech_is_refused(found, reason):
    assert refusal(found, min_speech_seconds=1.0) == reason

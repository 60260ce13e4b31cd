"""Recordings with one fault each, and the lengths that headers state of them."""

import numpy as np
import pytest
import soundfile

from mrlspk.data.audio.source import RangeSource, as_source
from mrlspk.data.checks.hearing import check_heard, hear

RATE = 16_000
NOISE = np.random.default_rng(0).normal(0, 0.1, RATE)
SOUNDS = {
    "noise": NOISE,
    "silence": np.zeros(RATE),
    "offset": NOISE + 0.05,
    "loud": NOISE * 100,
    "clipped": NOISE.clip(-0.1, 0.1),
}


def heard(path, samples, subtype="FLOAT"):
    soundfile.write(path, samples, RATE, subtype=subtype)
    return hear(as_source(path))


@pytest.mark.parametrize(
    ("sound", "kinds"),
    [
        ("noise", []),
        ("silence", ["silent"]),
        ("offset", ["dc_offset"]),
        ("loud", ["out_of_range"]),
        ("clipped", ["clipped"]),
    ],
)
def test_each_fault_is_told_alone(tmp_path, sound, kinds):
    found = heard(tmp_path / "a.wav", SOUNDS[sound])
    problems = list(check_heard("a.wav", found, 4 * RATE))
    assert [(each.kind, each.where) for each in problems] == [(kind, "a.wav") for kind in kinds]


def test_facts_of_a_recording_are_those_it_was_written_with(tmp_path):
    samples = np.tile(np.array([0.5, -0.25]), 4000)
    found = heard(tmp_path / "a.wav", samples, "PCM_16")
    assert (found.sample_rate, found.channels, found.codec, found.seconds) == (RATE, 1, "pcm_s16", 0.5)
    assert (found.levels.highest, found.levels.lowest, found.levels.mean) == (0.5, -0.25, 0.125)
    assert found.levels.rms == pytest.approx(0.375)  # half of the distance of the two samples


def test_part_of_a_flac_file_states_its_own_length(tmp_path):
    whole = heard(tmp_path / "a.flac", NOISE, "PCM_16")
    part = hear(RangeSource(as_source(tmp_path / "a.flac"), 0.25, 0.5))
    assert (whole.seconds, whole.stated_seconds) == (1.0, 1.0)
    assert part.seconds == 0.5
    assert part.stated_seconds == 0.5


def test_fingerprint_needs_half_a_second(tmp_path):
    prints = [heard(tmp_path / "a.wav", NOISE[:length]).print for length in (7_999, 8_000)]
    assert [each is None for each in prints] == [True, False]

from pathlib import Path

import numpy as np
import pytest
import soundfile

from mrlspk.data.audio.channels import ChannelFacts, check_channel, take_channel
from mrlspk.errors import DataError

RATE = 16_000


def facts(samples: np.ndarray, block: int = 5_000) -> tuple[str, ...]:
    """Return the warnings on (frames, channels) at `RATE`."""
    found = ChannelFacts(RATE)
    for start in range(0, len(samples), block):
        found.add(samples[start : start + block].astype(np.float32))
    return found.warnings()


def side_by_side(*channels: np.ndarray) -> np.ndarray:
    n = min(map(len, channels))
    return np.stack([channel[:n] for channel in channels], axis=1)


def delayed(samples: np.ndarray, seconds: float) -> np.ndarray:
    return np.pad(samples, (round(seconds * RATE), 0))


def silence(seconds: float) -> np.ndarray:
    return np.zeros(round(seconds * RATE))


def noise(n: int, level: float) -> np.ndarray:
    return np.random.default_rng(1).normal(0, level, n)


@pytest.fixture(scope="module")
def talkers(shared: Path) -> list[np.ndarray]:
    """About ten seconds of speech of each of four talkers."""
    folders = sorted((shared / "speech/test").iterdir())[:4]
    paths = [sorted(folder.rglob("*.wav"))[:3] for folder in folders]
    return [np.concatenate([soundfile.read(path)[0] for path in each]) for each in paths]


def test_mix_averages_the_channels():
    block = np.array([[0.5, -0.25, 0.5], [1.0, 1.0, 1.0]], dtype=np.float32)
    assert take_channel(block, "mix").tolist() == [0.25, 1.0]
    assert take_channel(block, 1).tolist() == [-0.25, 1.0]
    assert take_channel(block[:, :1], "mix").tolist() == [0.5, 1.0]
    assert block[0].tolist() == [0.5, -0.25, 0.5]


@pytest.mark.parametrize(("channel", "count", "named"), [(2, 2, "2 channels"), (1, 1, "1 channel"), (-1, 2, "2 ch")])
def test_absent_channel_is_an_error_that_names_the_count(channel, count, named):
    with pytest.raises(DataError, match=f"channel {channel}, counted from 0, got a recording of {named}") as caught:
        check_channel(channel, count, "a.wav")
    assert caught.value.where == "a.wav"


@pytest.mark.parametrize(("channel", "count"), [("mix", 1), (0, 1), (1, 2)])
def test_present_channel_is_none(channel, count):
    check_channel(channel, count, "a.wav")


def test_two_talkers_differ(talkers):
    for first, second in [(0, 1), (1, 2), (2, 3)]:
        assert facts(side_by_side(talkers[first], talkers[second])) == ("channels differ",)


def test_two_talkers_within_silence_differ(talkers):
    padded = [np.concatenate([silence(30), each[:80_000], silence(30)]) for each in talkers[:2]]
    assert facts(side_by_side(*padded)) == ("channels differ",)


@pytest.mark.parametrize("leak", [0.0, 0.1])
def test_two_parties_of_a_call_differ(talkers, leak):
    one, other = (each[:64_000] for each in talkers[:2])
    left = np.concatenate([one, 0 * other, one])
    right = np.concatenate([0 * one, other, 0 * one])
    assert facts(side_by_side(left + leak * right, right + leak * left)) == ("channels differ",)


@pytest.mark.parametrize("seconds", [0.0, 0.001, 0.02])
def test_one_talker_with_a_delay_does_not_differ(talkers, seconds):
    for talker in talkers:
        assert facts(side_by_side(talker, 0.7 * delayed(talker, seconds))) == ()


def test_one_talker_in_a_room_does_not_differ(talkers):
    decay = noise(4_000, 1.0) * 10 ** (-3 * np.arange(4_000) / 6_400)  # 0.4 s to -60 dB
    for talker in talkers:
        far = np.convolve(talker, decay)[: len(talker)]
        assert facts(side_by_side(talker, far * talker.std() / far.std())) == ()


@pytest.mark.parametrize("level", [0.0, 1e-3, 0.05])
def test_silent_or_merely_noisy_channel_does_not_differ(talkers, level):
    talker = talkers[0] / talkers[0].std()
    assert facts(side_by_side(talker, noise(len(talker), level))) == ()


def test_quiet_party_differs(talkers):
    one, other = (each / each.std() for each in talkers[:2])
    assert facts(side_by_side(one, 0.08 * other)) == ("channels differ",)
    assert facts(side_by_side(one, 0.02 * other)) == ()


def test_noise_on_top_of_one_talker_does_not_differ(talkers):
    talker = talkers[0] / talkers[0].std()
    left, right = np.random.default_rng(2).normal(0, 1, (2, len(talker)))
    assert facts(side_by_side(talker + left, talker + right)) == ()


@pytest.mark.parametrize(("gain", "expected"), [(-1.0, ("channels cancel",)), (-0.8, ("channels cancel",)), (0.5, ())])
def test_channel_upside_down_cancels(talkers, gain, expected):
    assert facts(side_by_side(talkers[0], gain * talkers[0])) == expected


def test_offset_of_both_channels_does_not_make_them_alike(talkers):
    assert facts(side_by_side(talkers[0], talkers[1]) + 5.0) == ("channels differ",)


@pytest.mark.parametrize("block", [7, 1_599, 1_600, 1_000_000])
def test_size_of_the_blocks_changes_nothing(talkers, block):
    samples = side_by_side(talkers[0], talkers[1])[:48_000]
    assert facts(samples, block) == facts(samples)


def test_third_channel_alone_differs(talkers):
    assert facts(side_by_side(talkers[0], talkers[0], talkers[1])) == ("channels differ",)


def test_nothing_is_told_of_silence_or_a_moment():
    assert facts(np.zeros((48_000, 2))) == ()
    assert facts(np.random.default_rng(0).normal(0, 0.1, (8_000, 2))) == ()
    assert ChannelFacts(RATE).warnings() == ()


def test_steady_tones_of_two_pitches_differ():
    time = np.arange(64_000) / RATE
    assert facts(np.sin(2 * np.pi * time[:, None] * [440.0, 1000.0])) == ("channels differ",)


def test_one_steady_tone_on_both_channels_does_not_differ():
    tone = np.sin(2 * np.pi * 440 * np.arange(64_000) / RATE)
    left, right = np.random.default_rng(4).normal(0, 0.02, (2, 64_000))
    assert facts(side_by_side(tone + left, 0.37 * tone + right)) == ()

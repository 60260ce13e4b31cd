import numpy as np
import pytest

from mrlspk.errors import DataError
from mrlspk.inference.decoding import Decoded
from mrlspk.inference.windows import keep_speech

RATE = 10  # Hz


def decoded(n_samples, *speech, searched=True, peak=0.5, warnings=()):
    samples = np.full(n_samples, peak, np.float32)
    spans = np.array(speech, np.int64).reshape(-1, 2) if searched else None
    return Decoded("a.wav", RATE, n_samples, spans, warnings, lambda: [samples])


def windows_of(recording, *, max_seconds=60.0, **options):
    return keep_speech(recording, min_samples=4).cut(max_seconds=max_seconds, min_samples=4, **options)


def spans_of(windows):
    return [span.tolist() for span in windows.spans]


def test_non_speech_is_cut_out_before_the_crop_and_the_windows():
    recording = decoded(100, (10, 30), (50, 60), (80, 90))  # 4 s of speech
    windows = windows_of(recording, max_seconds=1.5, crop_seconds=2.0)
    assert spans_of(windows) == [[[20, 30]], [[50, 60]]]
    assert (windows.seconds, windows.speech_seconds) == (2.0, 2.0)


def test_seconds_without_a_crop_are_those_of_the_recording():
    windows = windows_of(decoded(100, (10, 30), (50, 60)))
    assert spans_of(windows) == [[[10, 30], [50, 60]]]
    assert (windows.seconds, windows.speech_seconds) == (10.0, 3.0)


def test_all_audio_is_kept_if_speech_is_not_searched():
    windows = windows_of(decoded(100, searched=False), max_seconds=4.0)
    assert spans_of(windows) == [[[0, 33]], [[33, 66]], [[66, 99]]]
    assert (windows.seconds, windows.speech_seconds) == (10.0, None)


@pytest.mark.parametrize("speech", [[], [(5, 8)]], ids=["none", "too little"])
def test_all_audio_is_kept_without_enough_speech(speech):
    windows = windows_of(decoded(100, *speech))
    assert spans_of(windows) == [[[0, 100]]]
    assert (windows.seconds, windows.speech_seconds) == (10.0, 0.0)
    assert windows.recording_of(0.5)(np.ones(2)).warnings == ("silent",)


def test_crop_of_less_is_all_of_it():
    assert spans_of(windows_of(decoded(100, (10, 30)), crop_seconds=3.0)) == [[[10, 30]]]


def test_speech_decides_what_is_shorter_than_a_crop():
    kept = keep_speech(decoded(100, (10, 30)), min_samples=4)
    assert [kept.is_shorter_than(each) for each in (None, 2.0, 2.1)] == [False, False, True]


def test_too_short_a_file_is_an_error():
    with pytest.raises(DataError, match=r"too short: 3 samples at 0.01 kHz, at least 4"):
        windows_of(decoded(3, (0, 3)))


@pytest.mark.parametrize(
    ("recording", "peak", "expected"),
    [
        (decoded(10, searched=False), 0.5, ()),
        (decoded(9, searched=False), 0.5, ("short",)),
        (decoded(30, searched=False), 0.9e-4, ("silent",)),
        (decoded(9, searched=False), 0.0, ("silent", "short")),
        (decoded(30, (0, 10)), 0.5, ()),
        (decoded(30, (0, 9)), 0.5, ("short",)),
        (decoded(30, (0, 10)), 0.9e-4, ("quiet",)),
        (decoded(30, (0, 10)), 0.0051, ()),
        (decoded(30, (0, 10)), 0.0049, ("quiet",)),
        (decoded(9, searched=False), 0.0049, ("quiet", "short")),
        (decoded(9), 0.5, ("silent",)),
    ],
)
def test_warnings_of_level_and_length(recording, peak, expected):
    assert windows_of(recording).recording_of(peak)(np.ones(2)).warnings == expected


def test_warnings_of_the_decoder_come_last():
    recording = decoded(9, searched=False, warnings=("upsampled from 8000 Hz", "channels differ"))
    expected = ("silent", "short", "upsampled from 8000 Hz", "channels differ")
    assert windows_of(recording).recording_of(0)(np.ones(2)).warnings == expected


def test_crop_that_was_asked_for_is_not_short():
    assert windows_of(decoded(100, (10, 30)), crop_seconds=0.5).recording_of(0.5)(np.ones(2)).warnings == ()

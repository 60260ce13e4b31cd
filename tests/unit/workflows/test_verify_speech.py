import pytest

from mrlspk.workflows.verify_speech import VerifiedFile, explain_no_decision


def recording(path="a.wav", seconds=10.0, speech=8.0, warnings=(), *, whole=False):
    return VerifiedFile(path, seconds, speech, warnings, embedded_whole=whole)


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ([recording()], None),
        ([recording(speech=None)], None),
        ([recording(speech=1.0)], None),
        ([recording(speech=0.99)], "only 1.0 of 10.0 s of a.wav is speech; a decision needs 1 s"),
        ([recording(speech=2.0, warnings=("short",))], "only 2.0 of 10.0 s of a.wav is speech; a decision needs 1 s"),
        ([recording(speech=0.0)], "a.wav holds no speech"),
        ([recording(speech=None, warnings=("silent",))], "a.wav holds no speech"),
        ([recording(warnings=("quiet",))], "a.wav is too quiet"),
        ([recording(speech=None, warnings=("quiet",))], "a.wav is too quiet"),
        ([recording(speech=5.0, whole=True)], None),
        (
            [recording(speech=4.9, whole=True)],
            "only 4.9 of 10.0 s of a.wav is speech, and the calibration is of whole recordings; "
            "calibrate the model with `speech=auto`",
        ),
        ([recording(speech=4.9)], None),
        ([recording("a.wav", speech=0.0), recording("b.wav", speech=0.0)], "a.wav and b.wav hold no speech"),
        ([recording(speech=0.0), recording(speech=0.0)], "a.wav holds no speech"),
        (
            [recording("a.wav", speech=0.5), recording("b.wav", speech=0.0)],
            "b.wav holds no speech; only 0.5 of 10.0 s of a.wav is speech; a decision needs 1 s",
        ),
    ],
)
def test_no_decision_is_explained_by_the_speech_in_both_recordings(files, reason):
    assert explain_no_decision(files) == reason

"""An index calibrated, evaluated and asked through its model and files."""

import shutil
from functools import partial

import numpy as np
import pytest
import soundfile

import mrlspk
from factories import RATE, write_voices
from mrlspk.errors import DataError
from mrlspk.index import calibrating
from mrlspk.index.deciding import CALIBRATION, read_calibration
from pitch_encoder import pitch_encoder

N_ENROLLED = 21
ENROLLED, OTHERS = ("a/1.wav", "b/3.wav"), ("a/2.wav", "b/4.wav")


@pytest.fixture(scope="module")
def model():
    return pitch_encoder()


@pytest.fixture(scope="module")
def voices(tmp_path_factory):
    """A folder of 24 voices with two sessions of four recordings each, 1.2 s long."""
    root = tmp_path_factory.mktemp("voices")
    return write_voices(root, 24, files=("1", "2", "3", "4"), seconds=1.2, syllables=True)


def take(voices, root, files, numbers=range(N_ENROLLED)):
    """Copy some files of each voice to another folder."""
    for number in numbers:
        for file in files:
            place = root / f"speaker{number}" / file
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(voices / f"speaker{number}" / file, place)
    return root


@pytest.fixture(scope="module")
def index(tmp_path_factory, model, voices):
    """An index of 21 of the voices, a recording of each session."""
    made = mrlspk.VoiceIndex.create(tmp_path_factory.mktemp("index") / "voices", model)
    made.add_folder(take(voices, tmp_path_factory.mktemp("enrolled"), ENROLLED))
    yield made
    made.close()


@pytest.fixture(scope="module")
def report(index):
    return index.calibrate(cut_seconds=(1.0, 60.0))


def calibration_of(index):
    with index.store.reading() as snapshot:
        return read_calibration(snapshot)


def test_calibration_is_fitted_to_recordings_and_their_cuts_and_kept(index, report):
    assert calibration_of(index) == report.calibration
    calibration = report.calibration
    assert (calibration.n_voices, calibration.n_target_voices, calibration.n_across_folders) == (21, 21, 21)
    assert calibration.n_target == 2 * 2 * N_ENROLLED  # two recordings of each voice and their cuts
    assert calibration.cut_seconds == (1.0,)  # none has 60 s of speech
    assert calibration.seconds_range[0] == 1.0
    assert (calibration.fingerprint, calibration.speech, calibration.speech_detector) == (
        index.settings.fingerprint,
        "auto",
        "energy-1",
    )
    assert calibration.dims == (8, 16)


def test_decision_is_that_of_the_calibration(index, report, voices):
    path = voices / "speaker3" / "a" / "2.wav"
    found = index.identify(path, false_accept_rate=0.2)
    threshold = report.calibration.threshold(0.2, N_ENROLLED, 16, found.query.speech_seconds)
    assert found.threshold == threshold.score
    assert found.voices == N_ENROLLED
    is_reached = found.candidates[0].score >= threshold.score
    assert (found.decision == "unknown") == (not is_reached)


@pytest.mark.usefixtures("report")
def test_evaluation_counts_what_single_queries_find(index, voices, tmp_path):
    root = take(voices, take(voices, tmp_path, ENROLLED), OTHERS, range(24))
    paths = {number: [root / f"speaker{number}" / file for file in OTHERS] for number in range(24)}
    paths[5].append(shutil.copy(voices / "speaker6" / "a" / "4.wav", root / "speaker5"))  # under a wrong name
    evaluation = index.evaluate(root, false_accept_rate=0.2)
    assert evaluation.is_calibrated
    assert len(evaluation.refused) == 2 * N_ENROLLED  # copies of what is enrolled
    assert {each.reason for each in evaluation.refused} == {"is enrolled, or a copy of a recording that is"}
    assert (evaluation.report.n_voices, evaluation.report.n_enrolled) == (N_ENROLLED, 2 * N_ENROLLED + 1)
    assert (evaluation.report.n_unknown, evaluation.report.n_unknown_speakers) == (6, 3)
    for width in evaluation.report.widths:
        found = {
            number: index.identify_many(each, dim=width.dim, false_accept_rate=0.2) for number, each in paths.items()
        }
        enrolled = [(f"speaker{number}", each) for number in range(N_ENROLLED) for each in found[number]]
        assert width.rank_1 == pytest.approx(np.mean([each.candidates[0].name == name for name, each in enrolled]))
        assert width.decisions[0].accepted == pytest.approx(np.mean([each.name == name for name, each in enrolled]))
        others = [each.decision != "unknown" for number in range(N_ENROLLED, 24) for each in found[number]]
        assert width.decisions[0].measured_false_accept_rate == pytest.approx(np.mean(others))


def test_evaluation_of_enrolled_speakers_alone_is_refused(index, voices, tmp_path):
    with pytest.raises(DataError, match="2 of enrolled and 0 of other"):
        index.evaluate(take(voices, tmp_path, OTHERS, [0]))


def test_further_recordings_calibrate_an_index_of_single_ones(model, voices, tmp_path):
    further = take(voices, take(voices, tmp_path / "further", (*OTHERS[:1], *ENROLLED[:1])), OTHERS, [23])
    soundfile.write(further / "speaker23" / "silent.wav", np.zeros(RATE * 2), RATE)
    with mrlspk.VoiceIndex.create(tmp_path / "index", model) as made:
        made.add_folder(take(voices, tmp_path / "one", ENROLLED[:1]))
        with pytest.raises(DataError, match="got 0 of 21 voices"):
            made.calibrate(cut_seconds=())
        plain = made.evaluate(further)
        calibration = made.calibrate(further, cut_seconds=()).calibration
    assert not plain.is_calibrated
    assert [width.decisions for width in plain.report.widths] == [(), ()]
    assert len({tuple(width.points.thresholds) for width in plain.report.widths}) == 2  # scores of each width
    assert (calibration.n_target, calibration.n_target_voices) == (N_ENROLLED, N_ENROLLED)
    assert calibration.n_nontarget == 2 * N_ENROLLED * (N_ENROLLED - 1) + 2 * N_ENROLLED  # two of the stranger


def test_voices_that_are_not_drawn_are_no_strangers(index, voices, tmp_path, monkeypatch):
    drawn = partial(calibrating.enrolled_recordings, most_voices=20)
    monkeypatch.setattr(calibrating, "enrolled_recordings", drawn)
    further = take(voices, tmp_path, OTHERS[:1], range(N_ENROLLED + 1))  # one is a stranger
    with index.store.reading() as snapshot:
        kept = snapshot.setting(CALIBRATION)
    calibration = index.calibrate(further, cut_seconds=()).calibration
    with index.store.writing() as writer:
        writer.put_setting(CALIBRATION, kept)
    assert calibration.n_voices == 20
    assert calibration.n_target == 3 * 20
    assert calibration.n_nontarget == 3 * 20 * 19 + 20  # of the drawn voices, and of the stranger


def test_cuts_need_the_files_of_the_recordings(model, voices, tmp_path):
    root = take(voices, tmp_path / "gone", ENROLLED)
    with mrlspk.VoiceIndex.create(tmp_path / "index", model) as made:
        made.add_folder(root)
        assert not any("not cut" in each for each in made.calibrate(cut_seconds=(1.0,)).warnings)
        shutil.rmtree(root)
        report = made.calibrate(cut_seconds=(1.0,))
        assert report.calibration.cut_seconds == ()
        assert any("were not cut to short speech, since their files are not found" in each for each in report.warnings)

import json
from pathlib import Path

import pytest

from mrlspk.data.speech.energy import EnergyDetector
from mrlspk.errors import CheckpointError, MrlspkError
from mrlspk.evaluation.calibration_file import (
    calibration_path,
    find_calibration,
    find_calibration_for,
    read_calibration,
    write_calibration,
)
from mrlspk.evaluation.score_norm import CohortSource, NormRequest
from mrlspk.files import claimed_file
from mrlspk.inference.model_file import ModelFile
from mrlspk.pretrained.own_models import OwnModel
from unit.evaluation.test_calibration import calibration, width

FINGERPRINT = "f" * 64


def store(path, each):
    with claimed_file(path, force=True) as claim:
        write_calibration(claim, each)


@pytest.fixture
def model(tmp_path):
    return ModelFile(tmp_path / "best.pt", "run/best.pt")


def test_calibration_lies_beside_checkpoint_but_apart_from_zoo_entries(model, tmp_path):
    assert calibration_path(model) == tmp_path / "best.calibration.json"
    own = OwnModel(
        family="mrlspk", dims=(8,), name="mine", sha256="0" * 64, bytes=1, added="2026-01-01T00:00:00Z", card=None
    )
    kept = ModelFile(Path("zoo/mine.pt"), "mine", own=own)
    assert calibration_path(kept) == Path("zoo/calibrations/mine.calibration.json")


def test_what_is_read_is_what_was_written(model, tmp_path):
    for each in (calibration(), calibration(width(scale=1 / 3, duration_weight=0.1))):
        store(tmp_path / "new" / "x.json", each)
        assert read_calibration(tmp_path / "new" / "x.json", model, FINGERPRINT) == each


def test_calibration_beside_the_model_is_found_unless_another_is_given(model, tmp_path):
    assert find_calibration(model, FINGERPRINT) is None
    store(tmp_path / "best.calibration.json", calibration())
    store(tmp_path / "other.json", calibration(width(4)))
    assert find_calibration(model, FINGERPRINT).content == calibration()
    assert find_calibration(model, FINGERPRINT, tmp_path / "other.json").content.dims == (4,)
    with pytest.raises(CheckpointError, match="No such file"):
        find_calibration(model, FINGERPRINT, tmp_path / "absent.json")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("not JSON", "is not a calibration: expected JSON"),
        ("[]", "is not a calibration"),
        ("{}", "is not a calibration: version: is missing"),
        (b"\xff\xfe", "is not a calibration"),
        ({"version": 7}, "expected version 1 of its format, got 7"),
        ({"widths": []}, "widths: expected a list of 1 or more"),
        ({"fit_p_target": "0.5"}, "fit_p_target: expected a number"),
        ({"quality": "loudness"}, "quality: expected 'duration'"),
        ({"surprise": 1}, "surprise: is not known"),
        ({"fingerprint": "0" * 64}, "belongs to another model than run/best.pt"),
    ],
)
def test_file_that_cannot_be_used_says_why_and_how_to_calibrate(model, tmp_path, content, problem):
    path = tmp_path / "best.calibration.json"
    if isinstance(content, dict):
        content = json.dumps(calibration().model_dump(mode="json") | content)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(CheckpointError) as caught:
        find_calibration(model, FINGERPRINT)
    assert problem in str(caught.value)
    assert f"mrlspk calibrate run/best.pt --trials FILE --audio-root DIR -o {path} --force" in str(caught.value)


def test_only_a_calibration_beside_the_model_suggests_overwriting(model, tmp_path):
    (tmp_path / "model.pt").write_bytes(b"weights of years")
    for path in (tmp_path / "model.pt", tmp_path, tmp_path / "absent.json"):
        with pytest.raises(CheckpointError) as caught:
            find_calibration(model, FINGERPRINT, path)
        assert caught.value.fix == "Name a file that `mrlspk calibrate` wrote."
    store(tmp_path / "other.json", calibration(fingerprint="0" * 64))
    with pytest.raises(CheckpointError, match="belongs to another model") as caught:
        find_calibration(model, FINGERPRINT, tmp_path / "other.json")
    assert caught.value.fix == "To calibrate: mrlspk calibrate run/best.pt --trials FILE --audio-root DIR"


def test_calibration_of_other_scores_or_widths_is_not_used(model, tmp_path, caplog):
    store(tmp_path / "best.calibration.json", calibration())
    norm = NormRequest("as", CohortSource(Path("cohort"), "c" * 64, {}, {}), 300)

    def find(given=None, *, norm=None, dims=(8,)):
        return find_calibration_for(model, FINGERPRINT, given, norm=norm, dims=dims)

    assert find().content == calibration()
    assert not caplog.messages
    assert find(norm=norm) is None
    assert "calibrates other scores (cosines without normalisation); it is not used" in caplog.messages[-1]
    assert find(dims=(4, 8)) is None
    assert "does not calibrate width 4; it is not used" in caplog.messages[-1]
    with pytest.raises(CheckpointError, match="does not calibrate width 4"):
        find(tmp_path / "best.calibration.json", dims=(4, 8))


def test_calibration_fits_one_version_of_one_detector(model, tmp_path, caplog):
    class Newer(EnergyDetector):
        version = "energy-99"

    spoken = {"speech": "auto", "speech_detector": EnergyDetector.version}
    whole, auto = tmp_path / "whole.json", tmp_path / "best.calibration.json"
    store(whole, calibration())
    store(auto, calibration(**spoken))

    def find(speech, given=None):
        return find_calibration_for(model, FINGERPRINT, given, norm=None, dims=(8,), speech=speech)

    assert find(EnergyDetector()).content.speech == "auto"
    assert find(None, whole).content.speech == "all"
    assert not caplog.messages
    for other in (None, Newer()):
        assert find(other) is None
        assert f"was fitted on other audio (`speech=auto`, {EnergyDetector.version})" in caplog.messages[-1]
    with pytest.raises(CheckpointError, match=r"other audio \(whole recordings\)") as caught:
        find(EnergyDetector(), whole)
    assert "--audio-root DIR --speech auto -o" in str(caught.value.fix)


def test_calibration_of_whole_recordings_is_written_as_by_older_releases(tmp_path):
    store(tmp_path / "x.json", calibration())
    assert json.loads((tmp_path / "x.json").read_text()).keys().isdisjoint({"speech", "speech_detector"})


@pytest.mark.parametrize("top_n", [None, 300])
def test_normalised_scores_find_the_calibration_of_their_cohort(model, tmp_path, top_n):
    changed = {"score_norm": "s" if top_n is None else "as", "top_n": top_n}
    cohort = {"path": "cohort", "fingerprint": "c" * 64}
    record = calibration().model_dump() | changed | {"cohort": cohort}
    store(tmp_path / "best.calibration.json", type(calibration()).model_validate(record))

    def find(fingerprint, top_n):
        kind = "s" if top_n is None else "as"
        norm = NormRequest(kind, CohortSource(Path("elsewhere"), fingerprint, {}, {}), top_n)
        return find_calibration_for(model, FINGERPRINT, norm=norm, dims=(8,))

    assert find("c" * 64, top_n) is not None
    assert find("d" * 64, top_n) is None
    assert find("c" * 64, 200) is None


def test_file_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    def full_disk(_fd):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full_disk)
    with pytest.raises(MrlspkError, match="No space left"):
        store(tmp_path / "x.json", calibration())
    assert list(tmp_path.iterdir()) == []

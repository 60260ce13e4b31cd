import sys

import pytest

from mrlspk.data.speech.build import build_detector
from mrlspk.errors import MissingDependencyError


def test_all_is_no_detector():
    assert build_detector("all") is None


@pytest.mark.parametrize(("mode", "version"), [("auto", "energy-1"), ("silero", "silero-6")])
def test_build_detector_returns_the_one_named(mode, version):
    detector = build_detector(mode)
    assert detector is not None
    assert detector.name == mode
    assert detector.version.startswith(version)


@pytest.mark.parametrize("package", ["silero_vad", "onnxruntime"])
def test_silero_names_the_extra_when_a_package_is_absent(package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingDependencyError, match=r"mrlspk\[silero\]"):
        build_detector("silero")


def test_silero_is_loaded_without_an_import_of_its_package(monkeypatch):
    monkeypatch.delitem(sys.modules, "silero_vad", raising=False)
    build_detector("silero")
    assert "silero_vad" not in sys.modules

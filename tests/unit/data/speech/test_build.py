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
    import builtins
    import importlib.util

    find_spec, import_module = importlib.util.find_spec, builtins.__import__

    def refuse(name, *args, **kwargs):
        if name == package:
            raise ModuleNotFoundError(name)
        return import_module(name, *args, **kwargs)

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == package else find_spec(name))
    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(MissingDependencyError, match=r"mrlspk\[silero\]"):
        build_detector("silero")

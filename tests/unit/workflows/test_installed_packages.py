"""Packages that mrlspk declares, and whether they are installed."""

import tomllib
from importlib import metadata
from pathlib import Path

import pytest

from mrlspk.workflows.installed_packages import PURPOSES, install_line, missing_packages, optional_packages

REQUIRES = ["torch==2.11.*", "av<20,>=19", "onnx<2,>=1.17; extra == 'onnx'", "onnxruntime<2; extra == 'onnx'"]
VERSIONS = {"torch": "2.11.0", "onnx": "1.20"}


@pytest.fixture
def installed(monkeypatch):
    def version(name):
        if name in VERSIONS:
            return VERSIONS[name]
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "requires", lambda _: REQUIRES)
    monkeypatch.setattr(metadata, "version", version)


@pytest.mark.usefixtures("installed")
def test_missing_packages_are_those_without_an_extra():
    assert missing_packages() == ["av"]


@pytest.mark.usefixtures("installed")
def test_line_to_install_names_the_versions_that_fit():
    assert install_line("torch", "av") == "pip install -I 'torch==2.11.*' 'av<20,>=19'"


@pytest.mark.usefixtures("installed")
def test_extra_lists_installed_and_missing_packages():
    extra = next(each for each in optional_packages() if each.name == "onnx")
    assert (extra.purpose, extra.installed, extra.missing) == ("ONNX models", ("onnx 1.20",), ("onnxruntime",))


def test_every_extra_for_users_has_a_purpose():
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert set(PURPOSES) == set(project["optional-dependencies"]) - {"dev"}

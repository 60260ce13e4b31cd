"""Checks of an installation, and the lines that fix it."""

import shutil
import sys
from collections import namedtuple

import pytest
import requests
import torch

from mrlspk.workflows import doctor
from mrlspk.workflows.doctor import examine, shown_size
from mrlspk.workflows.installed_packages import Extra, install_line

Usage = namedtuple("Usage", ["total", "used", "free"])


@pytest.fixture(autouse=True)
def quick(monkeypatch, tmp_path):
    """Leave out decoders, which have tests of their own, and make no connection."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(doctor, "try_decoders", lambda: iter(()))
    monkeypatch.setattr(requests, "head", lambda *_, **__: None)


@pytest.fixture
def found(tmp_path):
    """Return the checks by name, with these variables beside the cache folder."""

    def checks(*, offline=False, **variables):
        variables = {"MRLSPK_CACHE_DIR": str(tmp_path / "cache")} | variables
        report = examine(variables, offline=offline)
        return {check.name: check for check in report.checks} | {"ok": report.ok}

    return checks


def test_whole_installation_is_ok(found):
    checks = found()
    assert checks.pop("ok")
    assert [name for name, check in checks.items() if check.needed and not check.ok] == []
    names = {"mrlspk", "packages", "PyTorch", "FFmpeg", "libsndfile", "GPU", "backends", "cache", "network"}
    assert names <= set(checks)


@pytest.mark.parametrize(("package", "name"), [("torch", "PyTorch"), ("av", "FFmpeg"), ("soundfile", "libsndfile")])
def test_package_that_does_not_load_fails_the_check(found, monkeypatch, package, name):
    monkeypatch.setitem(sys.modules, package, None)
    checks = found()
    assert not checks["ok"]
    assert (checks[name].ok, checks[name].fix) == (False, install_line(package))


def test_missing_extra_is_optional_and_has_a_line_to_type(found, monkeypatch):
    missing = Extra("onnx", "ONNX models", (), ("onnx",))
    monkeypatch.setattr(doctor, "optional_packages", lambda: [missing])
    checks = found()
    assert checks["ok"]
    assert (checks["ONNX models"].ok, checks["ONNX models"].fix) == (False, "pip install 'mrlspk[onnx]'")


def test_missing_package_has_a_line_to_type(found, monkeypatch):
    monkeypatch.setattr(doctor, "missing_packages", lambda: ["soxr", "rich"])
    checks = found()
    assert not checks["ok"]
    assert checks["packages"].fix == install_line("soxr", "rich")


@pytest.mark.parametrize(("has_file", "ok"), [(True, False), (False, True)])
def test_gpu_that_torch_cannot_use_is_named(found, monkeypatch, tmp_path, has_file, ok):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setattr(doctor, "GPU_FILES", (tmp_path if has_file else tmp_path / "none",))
    checks = found()
    assert (checks["GPU"].ok, checks["ok"]) == (ok, True)


def test_gpus_are_named(found, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda number: f"GPU {number}")
    assert found()["GPU"].detail == "GPU 0, GPU 1"


def test_cache_lists_sizes_by_folder(found, tmp_path):
    (tmp_path / "cache" / "graphs").mkdir(parents=True)
    (tmp_path / "cache" / "graphs" / "a").write_bytes(bytes(3_000_000))
    (tmp_path / "cache" / "model.pt").write_bytes(bytes(2_000))
    assert f"{tmp_path / 'cache'}: files 2 kB, graphs 3 MB; " in found()["cache"].detail


def test_cache_that_is_a_file_or_full_fails(found, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    assert not found(MRLSPK_CACHE_DIR=str(tmp_path / "file"))["cache"].ok
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(2, 1, 1_000_000))
    checks = found()
    assert (checks["cache"].ok, checks["ok"]) == (False, False)
    assert "1 MB free" in checks["cache"].detail


def test_default_model_that_is_not_fetched_names_the_command(found, tmp_path):
    assert found()["default model"].fix == "mrlspk pretrained fetch redimnet-b2-vox2-ft_lm"
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "redimnet-b2-vox2-ft_lm.pt").touch()
    assert found()["default model"].ok
    assert found(MRLSPK_MODEL="mine.pt")["default model"].detail == "mine.pt, from MRLSPK_MODEL"


def test_unknown_variable_fails_and_names_the_nearest(found):
    checks = found(MRLSPK_CACHEDIR="x")
    assert not checks["ok"]
    assert "did you mean MRLSPK_CACHE_DIR?" in checks["settings"].detail


@pytest.mark.parametrize(
    ("error", "reason"),
    [(requests.exceptions.ConnectTimeout, "no answer within 3 s"), (requests.exceptions.ProxyError, "no connection")],
)
def test_server_that_does_not_answer_is_optional(found, monkeypatch, error, reason):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(requests, "head", fail)
    checks = found()
    assert (checks["network"].ok, checks["ok"]) == (False, True)
    assert checks["network"].detail.endswith(reason)
    assert "network" not in found(offline=True)


def test_mirror_is_checked_in_place_of_the_network(found, monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(requests, "head", lambda address, **_: asked.append(address))
    assert found(MRLSPK_MIRROR="http://mirror.example/models")["mirror"].ok
    assert asked == ["http://mirror.example/models"]
    assert found(MRLSPK_MIRROR=str(tmp_path))["mirror"].ok
    missing = found(MRLSPK_MIRROR=str(tmp_path / "none"))
    assert (missing["mirror"].ok, "network" in missing) == (False, False)


@pytest.mark.parametrize(("size", "shown"), [(300, "0 kB"), (999_400, "999 kB"), (2e6, "2 MB"), (50.23e9, "50.2 GB")])
def test_sizes_have_units(size, shown):
    assert shown_size(size) == shown

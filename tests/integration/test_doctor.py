"""``mrlspk doctor`` on this installation, and on one that lacks a package."""

import sys

import pytest


@pytest.fixture(autouse=True)
def here(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)


def test_doctor_shows_formats_and_succeeds(run):
    outcome = run("doctor", "--offline")
    assert (outcome.exit_code, outcome.stderr) == (0, "")
    assert "ok: WAV, FLAC, MP3, M4A, Opus, Ogg Vorbis" in outcome.stdout
    assert [line for line in outcome.stdout.splitlines() if len(line) > 80 and "/" not in line] == []  # paths are whole


def test_doctor_exits_4_and_says_what_to_type(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "soundfile", None)
    outcome = run("doctor", "--offline", "--json")
    checks = {check["name"]: check for check in outcome.json["checks"]}
    assert (outcome.exit_code, outcome.json["ok"]) == (4, False)
    assert set(checks["libsndfile"]) == {"name", "ok", "detail", "fix", "needed"}
    human = run("doctor", "--offline").stdout
    assert "\nTo fix:\n" in human
    assert "libsndfile" in human.split("To fix:")[1]
    assert "pip install -I 'soundfile<1,>=0.13'" in human

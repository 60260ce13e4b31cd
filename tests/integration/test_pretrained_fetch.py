"""``mrlspk pretrained`` against a server on this machine."""

import errno
import json
import os
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from integration.model_server import Answer, ModelServer
from model_files import checkpoint, sha256
from mrlspk.cli.app import app
from mrlspk.pretrained import download

pytestmark = pytest.mark.process

NAME, FILE = "redimnet-M-vb2-ptn", "M-vb2-ptn.pt"  # its SHA-256 is not known beforehand
MIXED, MIXED_FILE = "redimnet-S-vb2+vox2+cnc-ft_mix", "S-vb2%2Bvox2%2Bcnc-ft_mix.pt"
PINNED = "redimnet-b2-vox2-ft_lm"
BODY = checkpoint(bytes(range(256)) * 2000)
SHA256 = sha256(BODY)


@pytest.fixture
def server():
    with ModelServer({f"/{NAME}.pt": BODY}) as running:
        yield running


@pytest.fixture(autouse=True)
def surroundings(monkeypatch, tmp_path, server):
    """Fetch through the server into an empty cache, with no pause between attempts."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("MRLSPK_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("MRLSPK_MIRROR", server.url)
    monkeypatch.setattr(download, "WAIT_SECONDS", (0.0, 0.0, 0.0))


def pretrained(*arguments):
    return CliRunner().invoke(app, ["pretrained", *arguments])


def fetch(*arguments):
    return pretrained("fetch", *arguments)


def kept_files(tmp_path):
    """Return the names of all files in the cache but its locks, which are empty."""
    files = [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    locks = [path for path in files if path.parent.name == ".locks"]
    assert all(path.stat().st_size == 0 for path in locks)
    return sorted(path.name for path in files if path not in locks)


def test_fetch_downloads_and_reports(server, tmp_path):
    result = fetch(NAME, "--json")
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    path = tmp_path / "cache" / f"{NAME}.pt"
    assert sha256(path) == SHA256
    assert (document["schema_version"], document["command"]) == (2, "pretrained fetch")
    assert {key: document[key] for key in ("name", "path", "sha256", "bytes")} == {
        "name": NAME,
        "path": str(path),
        "sha256": SHA256,
        "bytes": len(BODY),
    }
    assert server.paths == [f"/{NAME}.pt"]
    assert kept_files(tmp_path) == [f"{NAME}.pt", f"{NAME}.pt.sha256"]


def test_second_fetch_asks_no_server(server):
    first, second = fetch(NAME, "--json"), fetch(NAME, "--json")
    assert second.stdout == first.stdout
    assert len(server.requests) == 1


def test_force_fetches_again(server):
    fetch(NAME)
    assert fetch(NAME, "--force").exit_code == 0
    assert len(server.requests) == 2


def test_mirror_is_searched_for_our_name_then_the_published_one(server, tmp_path):
    server.files = {f"/{FILE}": BODY}
    result = fetch(NAME)
    assert result.exit_code == 0, result.output
    assert server.paths == [f"/{NAME}.pt", f"/{FILE}"]
    assert sha256(tmp_path / "cache" / f"{NAME}.pt") == SHA256


def test_proxy_of_the_publishers_is_a_mirror(server, tmp_path):
    address = f"/IDRnD/ReDimNet/releases/download/latest/{FILE}"
    server.files = {address: BODY}
    assert fetch(NAME).exit_code == 0
    assert server.paths == [f"/{NAME}.pt", f"/{FILE}", address]
    assert sha256(tmp_path / "cache" / f"{NAME}.pt") == SHA256


@pytest.mark.parametrize("status", [403, 410])
def test_403_from_an_object_store_counts_as_missing(server, tmp_path, status):
    server.files |= {f"/{FILE}": BODY}
    server.answers = [Answer(status=status)]
    assert fetch(NAME).exit_code == 0
    assert server.paths == [f"/{NAME}.pt", f"/{FILE}"]
    assert kept_files(tmp_path) == [f"{NAME}.pt", f"{NAME}.pt.sha256"]


def test_second_mirror_name_is_tried_only_after_404(server):
    server.always = Answer(status=401)
    assert fetch(NAME).exit_code == 4
    assert server.paths == [f"/{NAME}.pt"]


def test_plus_is_sent_escaped(server, tmp_path):
    server.files = {f"/{MIXED_FILE}": BODY}
    assert fetch(MIXED).exit_code == 0
    assert server.paths == ["/redimnet-S-vb2%2Bvox2%2Bcnc-ft_mix.pt", f"/{MIXED_FILE}"]
    assert kept_files(tmp_path) == [f"{MIXED}.pt", f"{MIXED}.pt.sha256"]


def test_address_is_fetched_as_given(server, tmp_path, monkeypatch):
    monkeypatch.setenv("MRLSPK_MIRROR", "http://127.0.0.1:1")
    server.files = {"/some/where/model.pt?version=2": BODY}
    result = fetch(f"{server.url}/some/where/model.pt?version=2", "--sha256", SHA256, "--json")
    assert result.exit_code == 0, result.output
    assert server.paths == ["/some/where/model.pt?version=2"]
    assert kept_files(tmp_path) == ["model.pt", "model.pt.sha256"]


def test_equal_file_names_of_two_addresses_stay_apart(server):
    server.files = {"/a/model.pt": BODY, "/b/model.pt": BODY}
    paths = {json.loads(fetch(f"{server.url}/{place}/model.pt", "--json").stdout)["path"] for place in "ab"}
    assert len(paths) == 2


def test_cache_dir_flag_overrides_the_environment(tmp_path):
    fetch(NAME, "--cache-dir", str(tmp_path / "other"))
    assert (tmp_path / "other" / f"{NAME}.pt").is_file()
    assert kept_files(tmp_path) == []


@pytest.mark.parametrize(
    ("status", "n_requests", "message"),
    [
        (503, 4, "the server answered 503 Service Unavailable, in 4 attempts"),
        (401, 1, "the server answered 401 Unauthorized"),
    ],
)
def test_lasting_failure_leaves_nothing(server, tmp_path, status, n_requests, message):
    server.always = Answer(status=status)
    result = fetch(NAME)
    assert result.exit_code == 4
    assert message in result.stderr
    assert f"{server.url}/{NAME}.pt" in result.stderr
    assert "MRLSPK_MIRROR" in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""
    assert len(server.requests) == n_requests
    assert kept_files(tmp_path) == []


def fail_to_store(monkeypatch, failure):
    """Let what came be refused where it is put in store, as a full disk may do only then; its record is not."""

    def fail(file):
        if os.fstat(file).st_size == len(BODY):
            raise failure

    monkeypatch.setattr(os, "fsync", fail)


def test_disk_that_is_full_at_the_end_leaves_nothing(tmp_path, monkeypatch):
    fail_to_store(monkeypatch, OSError(errno.ENOSPC, "No space left on device"))
    result = fetch(NAME)
    assert result.exit_code == 4
    assert "No space left on device" in result.stderr
    assert "MRLSPK_CACHE_DIR" in result.stderr
    assert kept_files(tmp_path) == []


def test_wrong_hash_leaves_nothing(server, tmp_path):
    result = fetch(NAME, "--sha256", "0" * 64)
    assert result.exit_code == 4
    assert f"expected SHA-256 {'0' * 64}, got {SHA256}" in result.stderr
    assert len(server.requests) == 1
    assert kept_files(tmp_path) == []


def test_published_hash_is_checked(server, tmp_path):
    server.files = {f"/{PINNED}.pt": BODY}
    result = fetch(PINNED)
    assert result.exit_code == 4
    assert "expected SHA-256 c9b6bb2f" in result.stderr
    assert kept_files(tmp_path) == []


def test_damaged_cached_file_is_refused_until_forced(tmp_path):
    fetch(NAME)
    path = tmp_path / "cache" / f"{NAME}.pt"
    path.write_bytes(BODY[:-1])
    refused = fetch(NAME)
    assert refused.exit_code == 4
    assert str(path) in refused.stderr
    assert "--force" in refused.stderr
    assert fetch(NAME, "--force").exit_code == 0
    assert sha256(path) == SHA256


def test_fault_in_another_command_is_mended_by_a_whole_command(server, tmp_path):
    def fault():
        result = CliRunner().invoke(app, ["eval", NAME, "--trials", "trials.txt", "--quiet"])
        assert result.exit_code == 4
        assert "--" not in re.sub(r"mrlspk pretrained fetch .*", "", result.stderr)
        return result.stderr

    fetched = f"mrlspk pretrained fetch {NAME} --cache-dir {tmp_path / 'cache'}"
    server.always = Answer(status=503)
    assert f"type: {fetched}\n" in fault()
    server.always, server.files = Answer(), {}
    assert f"type: {fetched}\n" in fault()
    server.files = {f"/{NAME}.pt": b"<html>Sign in</html>"}
    assert f"type: {fetched} --force --sha256 {sha256(b'<html>Sign in</html>')}\n" in fault()
    server.files = {f"/{NAME}.pt": BODY}
    fetch(NAME)
    (tmp_path / "cache" / f"{NAME}.pt").write_bytes(BODY[:-1])
    assert f"type: {fetched} --force\n" in fault()


def test_unreachable_server_is_an_error_at_once_with_a_fix(tmp_path, monkeypatch):
    monkeypatch.setenv("MRLSPK_MIRROR", "http://127.0.0.1:1")
    monkeypatch.setattr(download.time, "sleep", None)
    result = fetch(NAME)
    assert result.exit_code == 4
    assert "no connection to 127.0.0.1: is this machine offline?" in result.stderr
    assert "A model file of yours needs no network: give its path" in result.stderr
    assert kept_files(tmp_path) == []


def test_offline_uses_cached_files_without_a_request(server):
    missing = fetch(NAME, "--offline")
    assert missing.exit_code == 4
    assert f"mrlspk pretrained fetch {NAME}" in missing.stderr
    assert server.requests == []
    fetch(NAME)
    assert fetch(NAME, "--offline").exit_code == 0
    again = fetch(NAME, "--offline", "--force")
    assert again.exit_code == 4
    assert "not fetched again, as offline" in again.stderr
    assert len(server.requests) == 1


def test_unknown_name_error_names_the_nearest(server):
    result = fetch("redimnet-b2-vox2-lm")
    assert result.exit_code == 1
    assert "redimnet-b2-vox2-ft_lm" in result.stderr
    assert server.requests == []


def test_bad_hash_is_a_usage_error():
    assert fetch(NAME, "--sha256", "abc").exit_code == 2


def test_list_shows_cached_files():
    fetch(NAME)
    result = pretrained("list", "--json")
    assert result.exit_code == 0, result.output
    models = {model["name"]: model for model in json.loads(result.stdout)["models"]}
    assert {name for name, model in models.items() if model["cached"]} == {NAME}
    assert models[NAME]["sha256"] == SHA256
    assert models["redimnet-b0-vox2-ptn"]["sha256"] is None
    assert "CC BY-NC-SA" in models[NAME]["licence"]
    assert all(model["url"].startswith("https://") for model in models.values())


def test_list_shows_the_recorded_hash_else_the_expected_one(server):
    server.files = {f"/{PINNED}.pt": BODY}

    def listed():
        models = json.loads(pretrained("list", "--json").stdout)["models"]
        return next((model["sha256"], model["cached"]) for model in models if model["name"] == PINNED)

    assert listed() == ("c9b6bb2f6747caa28a41eaf2e372d66b0d1563baef186d18f5e99abd5e71e06f", False)
    path = json.loads(fetch(PINNED, "--sha256", SHA256, "--json").stdout)["path"]
    assert listed() == (SHA256, True)
    Path(path).unlink()
    assert listed() == (SHA256, False)


def test_list_of_an_unreadable_folder_is_an_error_with_a_fix(monkeypatch, tmp_path):
    monkeypatch.setenv("MRLSPK_CACHE_DIR", str(tmp_path / ("x" * 300)))
    result = pretrained("list")
    assert result.exit_code == 4
    assert "cannot be read: File name too long" in result.stderr
    assert "MRLSPK_CACHE_DIR" in result.stderr


def test_own_file_in_place_of_a_published_one_stays_in_use_with_a_warning(server):
    server.files = {f"/{PINNED}.pt": BODY}
    first = fetch(PINNED, "--sha256", SHA256)
    again = fetch(PINNED, "--offline")
    for result in (first, again):
        assert result.exit_code == 0, result.output
        shown = " ".join(result.stderr.split())
        assert f"using the file with SHA-256 {SHA256}" in shown
        assert "the registry has c9b6bb2f6747caa28a41eaf2e372d66b0d1563baef186d18f5e99abd5e71e06f" in shown
    back = fetch(PINNED, "--force")
    assert back.exit_code == 4
    assert "expected SHA-256 c9b6bb2f" in back.stderr


def test_empty_variables_count_as_not_set(server, monkeypatch):
    server.files = {"/model.pt": BODY}
    for name in ("MRLSPK_MIRROR", "MRLSPK_CACHE_DIR", "MRLSPK_MODEL"):
        monkeypatch.setenv(name, "")
    missing = fetch(NAME, "--offline", "--cache-dir", "cache")
    assert missing.exit_code == 4
    assert "not fetched yet, and offline" in missing.stderr


@pytest.mark.parametrize("mirror", ["s3://bucket/x", "http://host/?k=v", "http://[::1/x", "~nobody-of-this-name/x"])
def test_invalid_mirror_is_an_error_that_names_the_variable(monkeypatch, mirror):
    monkeypatch.setenv("MRLSPK_MIRROR", mirror)
    result = fetch(NAME)
    assert result.exit_code == 1
    assert result.stderr.startswith("error: MRLSPK_MIRROR: ")


def test_list_has_every_known_field_of_a_model():
    models = json.loads(pretrained("list", "--json").stdout)["models"]
    assert next(model for model in models if model["name"] == PINNED) == {
        "name": PINNED,
        "url": "https://github.com/IDRnD/ReDimNet/releases/download/latest/b2-vox2-ft_lm.pt",
        "family": "redimnet",
        "sha256": "c9b6bb2f6747caa28a41eaf2e372d66b0d1563baef186d18f5e99abd5e71e06f",
        "bytes": 20_582_650,
        "licence": "MIT",
        "non_commercial": False,
        "training_set": "VoxCeleb2",
        "parameters": 4.7,
        "gmacs": 0.9,
        "published_eer": {"vox1-o": 0.0057, "vox1-e": 0.0076, "vox1-h": 0.0132},
        "eer_source": "arXiv:2407.18223, without score normalisation",
        "source": "EVALUATION.md of IDRnD/ReDimNet",
        "cached": False,
    }


def test_list_fits_80_columns_and_marks_non_commercial_models(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    result = pretrained("list")
    assert result.exit_code == 0, result.output
    rows = {line.split()[0]: line.split()[1:] for line in result.stdout.splitlines() if line.startswith("redimnet")}
    assert rows[PINNED] == ["4.7", "M", "0.57/0.76/1.32", "MIT", "no"]
    assert "Not shown for want of space: GMACs." in result.stdout
    assert max(map(len, result.stdout.splitlines()[:-3])) <= 80  # without the notes, which a pipe does not wrap
    assert rows["redimnet2-b6-vb2+vox2+cnc2_v0-lm"] == ["MIT,", "nc", "no"]
    assert rows["redimnet-M-vb2-ptn"][1] == "1.319/1.128/2.000"
    assert {name for name, cells in rows.items() if "nc" in cells} == {name for name in rows if "vb2" in name}
    assert "nc: non-commercial; trained on VoxBlink2, which is CC BY-NC-SA." in result.stdout

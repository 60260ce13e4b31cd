"""``mrlspk index list``, ``show``, ``rename``, ``remove`` and ``stats``: voices of a tiny store."""

import subprocess
import sys

import numpy as np
import pytest

from integration.test_torch_free import HEAVY
from mrlspk.index.store.store import VoiceStore
from voice_stores import make_store, new_voice, unit_vectors


@pytest.fixture
def index(tmp_path):
    folder = tmp_path / "voices"
    with make_store(folder, "anna", "bert") as store, store.writing() as writer:
        writer.add_voices([new_voice("dora", seed=7, recordings=3, profiles=2, metadata={"site": "south"})])
    return folder


def names(run, index):
    return [voice["name"] for voice in run("index", "list", index, "--json").json["voices"]]


def test_list_has_the_keys_of_the_contract(run, index):
    voices = run("index", "list", index, "--json").json["voices"]
    assert voices[0] == {
        "name": "anna", "recordings": 1, "speech_seconds": 3.0, "metadata": {"site": "north", "seed": 0},
    }  # fmt: skip
    assert [voice["recordings"] for voice in voices] == [1, 1, 3]


def test_list_with_a_filter_counts_both(run, index):
    shown = run("index", "list", index, "--where", 'site = "north"').stdout
    assert "2 of 3 voices" in shown
    assert "dora" not in shown


def test_list_of_many_voices_shows_the_first_hundred(run, tmp_path):
    make_store(tmp_path / "many", *(f"voice-{number:03}" for number in range(103)))
    shown = run("index", "list", tmp_path / "many").stdout
    assert "voice-099" in shown
    assert "voice-100" not in shown
    assert "… and 3 more; --json lists all of them" in shown
    assert len(names(run, tmp_path / "many")) == 103


def test_show_lists_recordings_with_speech_and_warnings(run, index):
    shown = run("index", "show", index, "dora", "--json").json
    assert (shown["profiles"], shown["speech_seconds"], len(shown["recordings"])) == (2, 9.0, 3)
    assert shown["recordings"][0]["warnings"] == ["clipped"]
    assert "/audio/dora-2.wav" in run("index", "show", index, "dora").stdout


def test_renamed_voice_keeps_its_recordings(run, index):
    assert run("index", "rename", index, "dora", "dörte").exit_code == 0
    assert run("index", "show", index, "dörte", "--json").json["recordings"][2]["source"] == "/audio/dora-2.wav"
    assert names(run, index) == ["anna", "bert", "dörte"]


@pytest.mark.parametrize("typed", ["Anna", "hanna", "ana", "annna"])
def test_mistyped_name_suggests_the_one_meant(run, index, typed):
    shown = run("index", "show", index, typed)
    assert (shown.exit_code, "Did you mean anna?" in shown.stderr) == (2, True)


def test_rename_to_a_taken_name_is_refused(run, index):
    outcome = run("index", "rename", index, "dora", "anna")
    assert (outcome.exit_code, names(run, index)) == (2, ["anna", "bert", "dora"])
    assert "a voice 'anna' exists" in outcome.stderr


@pytest.mark.parametrize("new", ["", "  ", "two\nlines", "x" * 501])
def test_rename_refuses_a_name_that_add_would_refuse(run, index, new):
    outcome = run("index", "rename", index, "dora", new)
    assert (outcome.exit_code, names(run, index)) == (2, ["anna", "bert", "dora"])
    assert outcome.stderr.startswith("error: expected a name of 1 to 500 printable characters")


def test_rename_strips_white_space_as_add_does(run, index):
    assert run("index", "rename", index, "dora", " dörte ", "--json").json["name"] == "dörte"
    assert names(run, index) == ["anna", "bert", "dörte"]


def test_remove_of_several_voices_names_them(run, index):
    outcome = run("index", "remove", index, "anna", "dora", "--json")
    assert (outcome.json["names"], outcome.json["voices"]) == (["anna", "dora"], 1)
    assert names(run, index) == ["bert"]


def test_remove_with_an_unknown_name_removes_nothing(run, index):
    assert run("index", "remove", index, "anna", "nobody").exit_code == 2
    assert names(run, index) == ["anna", "bert", "dora"]


def test_remove_by_a_filter_needs_a_yes(run, index):
    chosen = "index", "remove", index, "--where", 'site = "north"'
    refused = run(*chosen)
    assert (refused.exit_code, names(run, index)) == (2, ["anna", "bert", "dora"])
    assert "2 voices would be removed: anna, bert" in refused.stderr
    assert "Give --yes" in refused.stderr
    assert run(*chosen, "--yes").exit_code == 0
    assert names(run, index) == ["dora"]


def test_remove_of_neither_names_nor_filter_is_refused(run, index):
    assert run("index", "remove", index).exit_code == 2
    assert run("index", "remove", index, "anna", "--where", "seed = 1").exit_code == 2
    assert names(run, index) == ["anna", "bert", "dora"]


def test_stats_count_voices_recordings_and_bytes_of_files(run, index):
    with VoiceStore.open(index) as store, store.writing() as writer:
        writer.remove(["anna"])
    stats = run("index", "stats", index, "--json").json
    assert (stats["voices"], stats["recordings"], stats["profiles"], stats["removed"]) == (2, 4, 3, 1)
    assert stats["files"]["vectors-1/profiles.f32"] == 4 * 16 * 4
    assert stats["bytes"] == sum(stats["files"].values())
    shown = run("index", "stats", index).stdout
    assert f"To delete them: mrlspk index compact {index}" in shown


def test_check_tells_problems_of_an_index_that_cannot_be_read(run, index):
    (index / "vectors-1" / "profiles.f32").unlink()
    checked = run("index", "check", index, "--json")
    assert (checked.exit_code, checked.json["ok"], checked.json["voices"]) == (3, False, None)
    assert [(each["kind"], each["where"]) for each in checked.json["problems"]] == [("file", "vectors-1/profiles.f32")]


def test_check_of_a_sound_index_exits_with_zero(run, index):
    checked = run("index", "check", index, "--json")
    assert (checked.exit_code, checked.json["ok"], checked.json["problems"]) == (0, True, [])
    assert "ok: 3 voices, 5 recordings" in run("index", "check", index).stdout


def test_check_of_a_changed_byte_exits_with_three(run, index):
    path = index / "vectors-1" / "profiles.f32"
    content = bytearray(path.read_bytes())
    content[5] ^= 1
    path.write_bytes(content)
    checked = run("index", "check", index, "--json")
    assert (checked.exit_code, checked.json["ok"]) == (3, False)
    assert ("checksum", "vectors-1/profiles.f32") in {
        (each["kind"], each["where"]) for each in checked.json["problems"]
    }
    assert "not ok" in run("index", "check", index).stdout


def test_check_warns_of_files_that_others_may_read(run, index):
    (index / "index.sqlite").chmod(0o644)
    checked = run("index", "check", index, "--json")
    assert (checked.exit_code, checked.json["ok"]) == (0, True)
    assert {each["kind"] for each in checked.json["problems"]} == {"mode"}


def test_compaction_tells_bytes_and_deletes_removed_vectors(run, index):
    run("index", "remove", index, "anna")
    done = run("index", "compact", index, "--json").json
    assert (done["removed"], run("index", "stats", index, "--json").json["removed"]) == (1, 0)
    assert done["bytes"] == run("index", "stats", index, "--json").json["bytes"] < done["bytes_before"]
    assert names(run, index) == ["bert", "dora"]


def test_compaction_to_a_narrower_width_cuts_the_vectors(run, index):
    assert run("index", "compact", index, "--dim", "8", "--json").json["embed_dim"] == 8
    assert run("index", "stats", index, "--json").json["settings"]["dims"] == [8]
    assert run("index", "check", index).exit_code == 0
    assert "expected one of the widths 8, got 16" in run("index", "compact", index, "--dim", "16").stderr


def test_shell_completes_names_of_voices(index, monkeypatch):
    words = f"mrlspk index show {index} b"
    monkeypatch.setenv("_MRLSPK_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", words)
    monkeypatch.setenv("COMP_CWORD", "4")
    done = subprocess.run([sys.executable, "-m", "mrlspk"], capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["bert"]


@pytest.mark.process
def test_commands_on_voices_and_vectors_import_no_torch(index, tmp_path):
    vectors, other = tmp_path / "v.npz", tmp_path / "other"
    np.savez(vectors, ids=np.array(["ann/1", "bob/1"]), embeddings=unit_vectors(2, seed=0))
    program = f"""
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {HEAVY}:
            raise AssertionError("imports " + name)
sys.meta_path.insert(0, Refuse())
from typer.testing import CliRunner
from mrlspk.cli.app import app
for folder, typed in (
    *(({str(index)!r}, typed) for typed in (
        "list", "show anna", "rename anna anne", "remove anne", "stats", "check", "compact",
        "tune --dry-run", "search --vectors {vectors} --explain",
    )),
    ({str(other)!r}, "create --vectors {vectors}"),
    ({str(other)!r}, "add --vectors {vectors}"),
    ({str(other)!r}, "export -o {tmp_path}/out.npz"),
):
    command, *rest = typed.split()
    result = CliRunner().invoke(app, ["index", command, folder, *rest])
    assert result.exit_code == 0, (typed, result.output, result.exception)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

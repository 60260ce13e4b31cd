import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mrlspk.errors import CheckpointError, MrlspkError, UsageError
from mrlspk.pretrained.own_models import (
    ModelFacts,
    OwnModels,
    add_own_model,
    check_name,
    find_own_model,
    list_own_models,
    own_model_path,
    verified_path,
)
from unit.pretrained.conftest import fail_at

FACTS = ModelFacts(family="redimnet", dims=(64, 192), licence="MIT", non_commercial=False, card={"title": "a card"})
ADDED = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)


def write(path):
    path.write_bytes(b"weights")


def fail(path):
    path.write_bytes(b"half of the wei")
    raise RuntimeError("killed")


@pytest.fixture
def add(tmp_path):
    def command(name, *, writer=write, force=False):
        return add_own_model(name, FACTS, writer, cache_dir=tmp_path, added=ADDED, force=force)

    return command


def test_added_model_is_found_by_name_and_listed_in_order(add, tmp_path):
    models = {name: add(name) for name in ("second", "1st", "third.v2")}
    assert [model.name for model in list_own_models(tmp_path).models] == ["1st", "second", "third.v2"]
    assert all(find_own_model(name, tmp_path) == model for name, model in models.items())
    found = models["second"]
    assert (found.bytes, found.dims, found.licence, found.non_commercial) == (7, (64, 192), "MIT", False)
    assert (found.card, found.added) == ({"title": "a card"}, ADDED)
    assert verified_path(found, tmp_path) == own_model_path("second", tmp_path)


def test_no_own_models_is_an_empty_list(tmp_path):
    assert list_own_models(tmp_path / "gone").models == ()
    assert find_own_model("mine", tmp_path / "gone") is None


@pytest.mark.parametrize("name", ["../mine", "a/mine", "", "MINE", "mine\n"])
def test_text_that_is_not_a_name_is_not_looked_up(add, tmp_path, name):
    add("mine")
    assert find_own_model(name, tmp_path / "a") is None


@pytest.mark.parametrize("name", ["Mine", ".mine", "-mine", "a b", "a/b", "mine\n", "ü", "redimnet-b0-vox2-ptn"])
def test_impossible_name_is_refused(add, tmp_path, name):
    with pytest.raises(UsageError):
        add(name)
    assert list_own_models(tmp_path).models == ()


@pytest.mark.parametrize("name", ["a", "0", "a.b_c+d-e", "9lives"])
def test_valid_name_is_accepted_once(add, tmp_path, name):
    check_name(name, tmp_path, force=False)
    add(name)
    with pytest.raises(MrlspkError, match="exists"):
        check_name(name, tmp_path, force=False)
    check_name(name, tmp_path, force=True)


def test_failed_copy_leaves_no_model(add, tmp_path):
    with pytest.raises(RuntimeError, match="killed"):
        add("mine", writer=fail)
    assert list_own_models(tmp_path).models == ()
    assert not (tmp_path / "zoo").exists()
    assert add("mine") == find_own_model("mine", tmp_path)


def test_failed_replacement_leaves_the_model_that_was_there(add, tmp_path):
    model = add("mine")
    with pytest.raises(RuntimeError, match="killed"):
        add("mine", writer=fail, force=True)
    assert verified_path(find_own_model("mine", tmp_path), tmp_path).read_bytes() == b"weights"
    assert find_own_model("mine", tmp_path) == model


def test_file_without_an_entry_is_not_a_model(add, tmp_path):
    add("mine")
    (tmp_path / "zoo" / "mine.json").unlink()
    assert find_own_model("mine", tmp_path) is None
    assert add("mine")


def test_changed_file_is_refused(add, tmp_path):
    model = add("mine")
    own_model_path("mine", tmp_path).write_bytes(b"wEights")
    with pytest.raises(CheckpointError, match=f"expected SHA-256 {model.sha256}, got"):
        verified_path(model, tmp_path)


@pytest.mark.parametrize("make", [lambda path: os.mkfifo(path), os.mkdir, lambda path: path.symlink_to(path)])
def test_entry_that_is_not_a_file_is_no_model(add, tmp_path, make):
    other = add("other")
    make(tmp_path / "zoo" / "mine.json")
    assert list_own_models(tmp_path) == OwnModels((other,), ())
    assert find_own_model("mine", tmp_path) is None


@pytest.mark.parametrize(("method", "name"), [("is_file", "mine.json"), ("open", "mine.json"), ("open", "mine.pt")])
def test_file_that_cannot_be_read_is_named(add, tmp_path, monkeypatch, method, name):
    model, path = add("mine"), tmp_path / "zoo" / name
    fail_at(monkeypatch, method, path)
    with pytest.raises(CheckpointError, match="cannot be read: Permission denied") as caught:
        verified_path(find_own_model("mine", tmp_path) or model, tmp_path)
    assert caught.value.where == path


def test_folder_that_cannot_be_read_is_named(add, tmp_path, monkeypatch):
    add("mine")
    fail_at(monkeypatch, "iterdir", tmp_path / "zoo")
    with pytest.raises(CheckpointError, match="cannot be read: Permission denied"):
        list_own_models(tmp_path)


def test_home_of_unknown_user_is_a_usage_error():
    with pytest.raises(UsageError, match="there is no such user"):
        find_own_model("mine", Path("~nobody-of-this-name"))


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"name": "mine"}', "\ufffd"])
def test_damaged_entry_is_an_error_in_every_lookup(add, tmp_path, text):
    add("mine")
    other = add("other")
    (tmp_path / "zoo" / "mine.json").write_text(text)
    with pytest.raises(CheckpointError, match="is not the entry of a model") as caught:
        find_own_model("mine", tmp_path)
    assert "--name mine --force" in caught.value.fix
    zoo = list_own_models(tmp_path)
    assert (zoo.models, [str(fault) for fault in zoo.faults]) == ((other,), [str(caught.value)])

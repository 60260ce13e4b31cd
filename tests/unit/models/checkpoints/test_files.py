import argparse
import pickle
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from factories import TINY
from mrlspk.config.architecture import ReDimNetConfig, describe_architecture
from mrlspk.errors import CheckpointError
from mrlspk.models.checkpoints import encoder_entries, load_model, read_checkpoint
from mrlspk.models.checkpoints.files import write_entries
from mrlspk.models.encoder import build_encoder


class Payload:
    """Runs a function when it is unpickled."""

    def __reduce__(self):
        return (exec, ("import pathlib; pathlib.Path('ran').touch()",))


ARCHITECTURE = describe_architecture(TINY, (4, 8))


@pytest.fixture
def encoder():
    return build_encoder(ARCHITECTURE)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    assert not (tmp_path / "ran").exists()


def test_payload_would_run():
    """The side effect that the tests here look for does happen where nothing prevents it."""
    pickle.loads(pickle.dumps(Payload()))
    assert Path("ran").exists()
    Path("ran").unlink()


def test_bare_pickle_is_refused_unread(folder):
    (folder / "model.pt").write_bytes(pickle.dumps(Payload()))
    with pytest.raises(CheckpointError, match="is not a checkpoint"):
        load_model(folder / "model.pt")


def test_pickle_with_a_zip_behind_it_is_refused_unread(folder):
    torch.save({"model_config": {}, "state_dict": {}}, folder / "zip.pt")
    (folder / "model.pt").write_bytes(pickle.dumps(Payload()) + (folder / "zip.pt").read_bytes())
    with pytest.raises(CheckpointError, match="plain pickles are never opened"):
        load_model(folder / "model.pt")


def test_entries_that_unpack_to_more_than_the_file_are_refused(folder):
    torch.save({"a": torch.zeros(10_000)}, folder / "whole.pt")
    with zipfile.ZipFile(folder / "whole.pt") as source, zipfile.ZipFile(folder / "model.pt", "w") as target:
        for name in source.namelist():
            target.writestr(name, source.read(name), compress_type=zipfile.ZIP_DEFLATED)
    with pytest.raises(CheckpointError, match="its entries are compressed"):
        read_checkpoint(folder / "model.pt")


@pytest.mark.parametrize(
    "contents",
    [
        {"model_config": Payload(), "state_dict": {}},
        {"model_config": {}, "state_dict": {"bn.weight": Payload()}},
        {"model_state_dict": {}, "config": {}, "best_eer": Payload()},
        {"format": "mrlspk", "format_version": 1, "model": Payload()},
        Payload(),
    ],
)
def test_code_inside_a_checkpoint_is_refused_and_does_not_run(folder, contents):
    torch.save(contents, folder / "model.pt")
    with pytest.raises(CheckpointError, match="holds more than tensors and plain values"):
        load_model(folder / "model.pt")


@pytest.mark.parametrize(
    ("value", "name"),
    [(argparse.Namespace(a=1), "argparse.Namespace"), (torch.nn.ReLU(), "torch.nn.modules.activation.ReLU")],
)
def test_refused_class_is_named(folder, value, name):
    torch.save({"model_config": {}, "state_dict": {}, "args": value}, folder / "model.pt")
    with pytest.raises(CheckpointError) as caught:
        read_checkpoint(folder / "model.pt")
    assert caught.value.what.endswith(f"more than tensors and plain values: the class or function {name}")


def test_damaged_checkpoint_of_a_run_names_the_others(folder):
    for name in ("best.pt", "last.pt", "config.yaml"):
        (folder / name).write_bytes(b"PK\x03\x04 cut")
    with pytest.raises(CheckpointError, match="its end is missing") as caught:
        read_checkpoint(folder / "best.pt")
    assert f"use another of its checkpoints ({folder / 'last.pt'})" in str(caught.value.fix)


@pytest.mark.parametrize(
    "number",
    [np.float64(0.25), np.float32(-1.5), np.float16(2.0), np.int64(-(2**40)), np.uint8(200), np.bool_(True)],
)
def test_numpy_numbers_become_python_numbers(folder, number):
    torch.save({"best_eer": number}, folder / "model.pt")
    found = read_checkpoint(folder / "model.pt")["best_eer"]
    assert found == number.item()
    assert type(found) is type(number.item())


def test_big_endian_numpy_numbers_are_read(folder):
    class Swapped:
        def __reduce__(self):
            constructor, (_, data) = np.float64(0.25).__reduce__()
            return constructor, (np.dtype(">f8"), data[::-1])

    torch.save({"best_eer": Swapped()}, folder / "model.pt")
    assert struct.unpack(">d", np.float64(0.25).tobytes()[::-1]) == (0.25,)
    assert read_checkpoint(folder / "model.pt")["best_eer"] == 0.25


@pytest.mark.parametrize(
    "value",
    [np.zeros(3), np.str_("text"), np.datetime64("2020-01-01"), np.dtype("O"), np.void(b"12345678")],
)
def test_other_numpy_values_are_refused(folder, value):
    torch.save({"best_eer": value}, folder / "model.pt")
    with pytest.raises(CheckpointError, match="is refused|is damaged"):
        read_checkpoint(folder / "model.pt")


def test_reading_leaves_the_allow_list_of_torch_unchanged(folder):
    before = set(torch.serialization.get_safe_globals())
    torch.save({"best_eer": np.float64(1)}, folder / "model.pt")
    read_checkpoint(folder / "model.pt")
    assert set(torch.serialization.get_safe_globals()) == before


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_truncated_file_is_refused(folder, share):
    torch.save({"model_config": {}, "state_dict": {"a": torch.zeros(1000)}}, folder / "whole.pt")
    whole = (folder / "whole.pt").read_bytes()
    (folder / "model.pt").write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(CheckpointError, match="is not a checkpoint|is damaged"):
        load_model(folder / "model.pt")


def test_flipped_bits_are_refused_or_change_nothing(folder):
    architecture = describe_architecture(
        ReDimNetConfig(F=8, C=4, block_1d_type="fc", stages_setup=((1, 1, 1, ((3, 3),), None),)), (4,)
    )
    encoder = build_encoder(architecture)
    torch.save(encoder_entries(encoder, architecture), folder / "whole.pt")
    expected, whole = encoder.state_dict(), (folder / "whole.pt").read_bytes()
    generator, refused = np.random.default_rng(0), 0
    for _ in range(200):
        damaged = bytearray(whole)
        damaged[generator.integers(len(whole))] ^= 1 << generator.integers(8)
        (folder / "model.pt").write_bytes(damaged)
        try:
            found = load_model(folder / "model.pt").encoder.state_dict()
        except CheckpointError:
            refused += 1
        else:  # in the padding between the entries
            assert all(torch.equal(found[name], values) for name, values in expected.items())
    assert 50 < refused < 200


def test_two_entries_with_one_name_are_refused(folder):
    torch.save({"a": torch.zeros(3)}, folder / "model.pt")
    with zipfile.ZipFile(folder / "model.pt", "a") as archive:
        name = next(name for name in archive.namelist() if name.endswith("data/0"))
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr(name, bytes(12))
    with pytest.raises(CheckpointError, match="two entries of one name"):
        read_checkpoint(folder / "model.pt")


def test_missing_file_is_named(folder):
    with pytest.raises(CheckpointError, match="no such checkpoint file"):
        read_checkpoint(folder / "absent.pt")


def test_written_entries_pass_weights_only_loading(encoder, tmp_path):
    torch.save(encoder_entries(encoder, ARCHITECTURE), tmp_path / "model.pt")
    assert torch.load(tmp_path / "model.pt", weights_only=True)["format"] == "mrlspk"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no device that is always full")
def test_full_disk_raises_the_error_of_the_disk(encoder):
    with pytest.raises(OSError, match="No space left"):
        write_entries(Path("/dev/full"), encoder_entries(encoder, ARCHITECTURE))


@pytest.mark.filterwarnings("ignore:.*is deprecated:DeprecationWarning")
def test_torchscript_is_refused_as_a_program(folder):
    program = torch.jit.script(torch.nn.Identity())
    torch.jit.save(program, folder / "model.pt")
    with pytest.raises(CheckpointError, match="is a TorchScript program"):
        read_checkpoint(folder / "model.pt")

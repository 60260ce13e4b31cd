import logging

import numpy as np
import pytest
import torch

from conformance.reference import read_reference, write_published
from factories import TINY
from mrlspk.config import load_config
from mrlspk.config.architecture import describe_architecture
from mrlspk.errors import CheckpointError, UsageError
from mrlspk.evaluation.model_origin import find_origin
from mrlspk.files import file_sha256
from mrlspk.models.checkpoints import encoder_entries, load_model
from mrlspk.models.checkpoints.schema import BaseModelFile, Provenance
from mrlspk.models.encoder import build_encoder
from mrlspk.models.head_transforms import fold_head, rotate_head
from mrlspk.rotation.closed_form import Rotation

MATRIX = np.linalg.qr(np.random.default_rng(0).normal(size=(8, 8)))[0]
ROTATION = Rotation("svd", None, MATRIX, np.full(8, 1 / 8)).entry()
WAVEFORM = torch.randn(2, 4000, generator=torch.Generator().manual_seed(0))


def make_encoder(dims=(4, 8)):
    """An encoder whose normalisation of pooled values has seen data."""
    with torch.random.fork_rng():
        torch.manual_seed(5)
        encoder = build_encoder(describe_architecture(TINY, dims))
        torch.nn.init.normal_(encoder.head.norm.running_mean)
        torch.nn.init.uniform_(encoder.head.norm.running_var, 0.5, 2)
    return encoder.eval()


@pytest.fixture
def write(tmp_path):
    """Write a checkpoint and load it: of format 3 if it has a provenance, else of format 2."""

    def write_model(encoder=None, **entries):
        encoder, path = encoder or make_encoder(), tmp_path / "model.pt"
        older = encoder_entries(encoder, describe_architecture(TINY, encoder.dims)) | {"format_version": 2} | entries
        torch.save(older | ({"format_version": 3} if "provenance" in entries else {}), path)
        return load_model(path), path

    return write_model


@pytest.fixture
def find(write, tmp_path):
    def find_of(encoder=None, **entries):
        loaded, path = write(encoder, **entries)
        return find_origin(loaded, path, cache_dir=tmp_path / "cache", mirror=None)

    return find_of


def run_config(base=None, *overrides):
    """What a run that started from a file carries; None: from random weights."""
    section = {"use_pretrained": base is not None, "pretrained_checkpoint": base and str(base)}
    sets = [f"model.pretrained.{key}={'null' if value is None else value}" for key, value in section.items()]
    backbone = [] if base else ["model.backbone={F: 8, C: 4, stages_setup: [[1, 1, 1, [[3, 3]], null]]}"]
    return load_config(overrides=[*sets, *backbone, *overrides]).model_dump(mode="json")


def own_head_of(encoder):
    own = fold_head(encoder.head)
    return {"weight": own.weight.float(), "bias": own.bias.float()}


def test_own_head_in_the_file_gives_the_embedding_before_rotation(find):
    before, trained = make_encoder(), make_encoder()
    torch.nn.init.normal_(trained.head.linear.weight)
    origin = find(trained, own_head=own_head_of(before), rotation=ROTATION, progress={"epoch": 2})
    assert not origin.encoder.training
    assert origin.rotation == pytest.approx(MATRIX)
    with torch.no_grad():
        assert origin.encoder(WAVEFORM).numpy() == pytest.approx(before(WAVEFORM).numpy(), abs=1e-5)


def test_own_head_may_differ_in_width_from_the_model(find):
    origin = find(make_encoder((4, 12)), own_head=own_head_of(make_encoder()), rotation=ROTATION)
    assert origin.encoder.embed_dim == 8


def test_rotation_without_training_is_undone(find):
    before = make_encoder()
    rotated = before.with_head(rotate_head(before.head, MATRIX), before.dims)
    origin = find(rotated, rotation=ROTATION, converted_from={"file": "x.pt", "sha256": "0"})
    with torch.no_grad():
        assert origin.encoder(WAVEFORM).numpy() == pytest.approx(before(WAVEFORM).numpy(), abs=1e-5)
        assert (rotated(WAVEFORM).numpy()) == pytest.approx(before(WAVEFORM).numpy() @ MATRIX.T, abs=1e-5)
    assert origin.rotation == pytest.approx(MATRIX)


def test_untrained_model_of_one_width_is_its_own_origin(find):
    model = make_encoder((8,))
    origin = find(model)
    assert origin.rotation is None
    with torch.no_grad():
        assert torch.equal(origin.encoder(WAVEFORM), model(WAVEFORM))


def write_base(path, dims=(8,)):
    encoder = make_encoder(dims)
    torch.nn.init.normal_(encoder.backbone.stem[0].weight, std=0.5)
    torch.save(encoder_entries(encoder, describe_architecture(TINY, dims)), path)
    return encoder, {"base": {"model": path.name, "sha256": file_sha256(path)}}


@pytest.mark.parametrize("rotated", [False, True])
def test_network_run_names_the_file_of_its_base_model(find, tmp_path, rotated):
    base, card = write_base(tmp_path / "base.pt")
    rotation = {"rotation": ROTATION} if rotated else {}
    origin = find(config=run_config(tmp_path / "base.pt"), card=card, **rotation)
    assert (origin.rotation is not None) == rotated
    with torch.no_grad():
        assert torch.equal(origin.encoder(WAVEFORM), base(WAVEFORM))


@pytest.mark.parametrize("entries", [{"progress": {"epoch": 1}}, {"converted_from": {"adapter_sha256": "0"}}])
def test_model_trained_after_its_rotation_is_not_rotated_back(find, entries):
    with pytest.raises(CheckpointError, match="does not say which model it was made from"):
        find(rotation=ROTATION, **entries)


def test_base_model_that_changed_or_is_missing_is_an_error(find, tmp_path):
    _, card = write_base(tmp_path / "base.pt")
    config = run_config(tmp_path / "base.pt")
    (tmp_path / "base.pt").rename(tmp_path / "moved.pt")
    with pytest.raises(CheckpointError, match=r"base\.pt, which cannot be found") as gone:
        find(config=config, card=card)
    assert "Restore that file" in gone.value.fix
    write_base(tmp_path / "base.pt", dims=(4, 8))
    with pytest.raises(CheckpointError, match="is now another file"):
        find(config=config, card=card)


def test_base_model_without_a_hash_is_used_with_a_warning(find, tmp_path, caplog):
    write_base(tmp_path / "base.pt")
    with caplog.at_level(logging.WARNING, "mrlspk"):
        find(config=run_config(tmp_path / "base.pt"), card={"base": {"model": "base.pt", "sha256": None}})
    assert "does not record the SHA-256" in caplog.text


def test_published_base_model_comes_from_the_mirror(write, tmp_path):
    (tmp_path / "mirror").mkdir()
    reference = read_reference("redimnet-opt-conv-hop240-tstp")
    published = write_published(reference, tmp_path / "mirror" / "redimnet-b0-vox2-ptn.pt")
    names = [f"model.pretrained.{key}" for key in ("model_name=b0", "train_type=ptn")]
    config = load_config(overrides=names).model_dump(mode="json")
    card = {"base": {"model": "redimnet-b0-vox2-ptn", "sha256": file_sha256(published)}}
    loaded, path = write(config=config, card=card)
    origin = find_origin(loaded, path, cache_dir=tmp_path / "cache", mirror=str(tmp_path / "mirror"))
    assert origin.encoder.embed_dim == 192
    assert (tmp_path / "cache").is_dir()


def test_base_model_needs_a_folder_of_fetched_models(write, tmp_path):
    _, card = write_base(tmp_path / "base.pt")
    loaded, path = write(config=run_config(tmp_path / "base.pt"), card=card)
    with pytest.raises(UsageError, match="no folder"):
        find_origin(loaded, path, cache_dir=None, mirror=None)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (None, "does not say which model it was made from"),
        (run_config(), "trained from random weights"),
        (run_config("base.pt", "head.start=random"), "its head was trained from random weights"),
        ({"no": "configuration"}, "its configuration cannot be used"),
    ],
)
def test_model_without_a_known_base_model_is_refused(find, config, said):
    with pytest.raises(CheckpointError, match=said) as error:
        find(**({} if config is None else {"config": config}))
    assert "`baselines`" in error.value.fix


@pytest.mark.parametrize("card", [{"base": None}, {"base": {"model": "base.pt"}}, {"base": {"sha256": 3}}, "text"])
def test_card_that_does_not_name_the_base_model_is_refused(find, tmp_path, card):
    write_base(tmp_path / "base.pt")
    with pytest.raises(CheckpointError, match="card does not name"):
        find(config=run_config(tmp_path / "base.pt"), card=card)


WEIGHT, BIAS = own_head_of(make_encoder()).values()


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("text", "expected a weight and a bias"),
        ({"weight": WEIGHT}, "expected a weight and a bias"),
        ({"weight": WEIGHT.tolist(), "bias": BIAS}, "expected a weight and a bias"),
        ({"weight": WEIGHT[:, 1:], "bias": BIAS}, "do not fit"),
        ({"weight": WEIGHT, "bias": BIAS[1:]}, "do not fit"),
        ({"weight": WEIGHT[:0], "bias": BIAS[:0]}, "do not fit"),
        ({"weight": WEIGHT[0], "bias": BIAS}, "do not fit"),
        ({"weight": WEIGHT * torch.nan, "bias": BIAS}, "finite floating-point"),
        ({"weight": WEIGHT, "bias": BIAS / 0}, "finite floating-point"),
        ({"weight": WEIGHT.long(), "bias": BIAS}, "finite floating-point"),
    ],
)
def test_damaged_own_head_is_refused(find, entry, said):
    with pytest.raises(CheckpointError, match=f"own_head is damaged: .*{said}"):
        find(own_head=entry)


def test_rotation_that_is_damaged_or_of_another_width_is_refused(find):
    damaged = ROTATION | {"matrix": (2 * MATRIX).tolist()}
    with pytest.raises(CheckpointError, match="rotation is damaged"):
        find(rotation=damaged)
    narrow = Rotation("none", None, np.eye(4), np.full(4, 0.25)).entry()
    for entries in ({}, {"own_head": own_head_of(make_encoder())}):
        with pytest.raises(CheckpointError, match="its rotation is 4 × 4, but its base embedding has 8 values"):
            find(rotation=narrow, **entries)


def test_recorded_provenance_decides_and_not_the_entries_present(find, tmp_path):
    base, card = write_base(tmp_path / "base.pt")
    file = BaseModelFile(model=str(tmp_path / "base.pt"), sha256=card["base"]["sha256"])
    origin = find(rotation=ROTATION, provenance=Provenance(kind="network_run", base=file).entry())
    with torch.no_grad():
        assert torch.equal(origin.encoder(WAVEFORM), base(WAVEFORM))
    undone = find(rotation=ROTATION, progress={"epoch": 1}, provenance=Provenance(kind="rotated").entry())
    with torch.no_grad():
        expected = make_encoder()(WAVEFORM).numpy() @ MATRIX
        assert undone.encoder(WAVEFORM).numpy() == pytest.approx(expected, abs=1e-5)


def test_relative_base_model_is_looked_up_in_the_working_directory(find, tmp_path, monkeypatch):
    base, card = write_base(tmp_path / "base.pt")
    monkeypatch.chdir(tmp_path)
    entry = Provenance(kind="network_run", base=BaseModelFile(model="base.pt", sha256=card["base"]["sha256"])).entry()
    with torch.no_grad():
        assert torch.equal(find(provenance=entry).encoder(WAVEFORM), base(WAVEFORM))
    monkeypatch.chdir("/")
    with pytest.raises(CheckpointError, match=r"base\.pt, which cannot be found"):
        find(provenance=entry)


def test_rotated_model_without_its_rotation_is_refused(find):
    with pytest.raises(CheckpointError, match="entry `rotation` is missing"):
        find(provenance=Provenance(kind="rotated").entry())

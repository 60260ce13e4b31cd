import re
from pathlib import Path

import pytest
import torch

from factories import TINY
from mrlspk import __version__
from mrlspk.config import Config, load_config
from mrlspk.config.architecture import describe_architecture
from mrlspk.errors import CheckpointError
from mrlspk.inference.provenance import provenance_of_run
from mrlspk.models.checkpoints import encoder_entries, load_model
from mrlspk.models.checkpoints.model_card import BaseCard
from mrlspk.models.checkpoints.schema import LATEST_VERSION, BaseModelFile, Provenance
from mrlspk.models.checkpoints.upgrade import UPGRADES, upgrade
from mrlspk.models.encoder import build_encoder

ARCHITECTURE = describe_architecture(TINY, (4, 8))


@pytest.fixture
def encoder():
    torch.manual_seed(0)
    return build_encoder(ARCHITECTURE)


@pytest.fixture
def load(tmp_path):
    def load(entries):
        torch.save(entries, tmp_path / "model.pt")
        return load_model(tmp_path / "model.pt")

    return load


@pytest.fixture
def format_1(encoder):
    """A checkpoint as mrlspk 0.1.0 wrote it in format 1: its architecture does not say the family."""
    return {
        "format": "mrlspk",
        "format_version": 1,
        "mrlspk_version": "0.1.0",
        "architecture": {
            "backbone": {
                "F": 8, "C": 4, "block_1d_type": "conv", "block_2d_type": "convnext_like",
                "stages_setup": [[1, 1, 1, [[3, 3]], None]], "group_divisor": 4, "out_channels": None,
                "feat_agg_dropout": 0.0, "hop_length": 160, "pooling_func": "ASTP", "feat_type": "pt",
                "global_context_att": False,
            },
            "output_norm": False,
            "matryoshka_dims": [4, 8],
        },
        "model": encoder.state_dict(),
        "config": {"seed": 3},
        "progress": {"epoch": 2},
    }  # fmt: skip


def test_format_1_gets_a_family_and_a_provenance(format_1, encoder, load):
    upgraded = upgrade(format_1, Path("model.pt"))
    assert (upgraded["format_version"], upgraded["architecture"]["family"]) == (3, "redimnet")
    assert upgraded["provenance"]["kind"] == "head_run"  # as its configuration says, by default
    assert format_1["format_version"] == 1
    loaded = load(format_1)
    assert loaded.architecture == ARCHITECTURE
    assert (loaded.config, loaded.contents["progress"]) == ({"seed": 3}, {"epoch": 2})
    waveform = torch.randn(1, 4000)
    assert torch.equal(loaded.encoder(waveform), encoder.eval()(waveform))


def test_every_older_format_has_an_upgrade():
    assert sorted(UPGRADES) == list(range(1, LATEST_VERSION))


def test_newer_format_is_refused_with_the_needed_version(encoder, load):
    entries = encoder_entries(encoder, ARCHITECTURE) | {"format_version": LATEST_VERSION + 1, "mrlspk_version": "7.3.0"}
    with pytest.raises(CheckpointError, match=f"has format version {LATEST_VERSION + 1}, and mrlspk") as caught:
        load(entries)
    assert re.search(r"written by mrlspk 7\.3\.0: install that version or a later one", caught.value.fix)
    assert __version__ in caught.value.what


@pytest.mark.parametrize("version", [None, 0, -1, "2", 1.0, True])
def test_format_version_that_is_not_a_positive_integer_is_refused(encoder, load, version):
    with pytest.raises(CheckpointError, match="expected a format version of 1 or more"):
        load(encoder_entries(encoder, ARCHITECTURE) | {"format_version": version})


@pytest.mark.parametrize("change", [{"architecture": None}, {"architecture": 3}])
def test_damaged_older_format_is_refused(format_1, load, change):
    with pytest.raises(CheckpointError, match="incomplete or damaged for format version 1"):
        load(format_1 | change)
    del format_1["architecture"]
    with pytest.raises(CheckpointError, match="incomplete or damaged for format version 1"):
        load(format_1)


def run_config(*overrides, base="models/base.pt"):
    """The configuration that a checkpoint of a run carries; no base: from random weights."""
    pretrained = f"{{use_pretrained: {str(bool(base)).lower()}, pretrained_checkpoint: {base or 'null'}}}"
    backbone = [] if base else ["model.backbone={F: 8, C: 4, stages_setup: [[1, 1, 1, [[3, 3]], null]]}"]
    return load_config(overrides=[f"model.pretrained={pretrained}", *backbone, *overrides]).model_dump(mode="json")


CARD = {"base": {"model": "base.pt", "family": "redimnet", "sha256": "12ab"}}
BASE = BaseModelFile(model="models/base.pt", family="redimnet", sha256="12ab")
NETWORK = "training.freeze_backbone_epochs=0"


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ({}, Provenance(kind="unknown")),
        ({"converted_from": {"file": "x.pt"}}, Provenance(kind="converted")),
        ({"converted_from": {"file": "x.pt", "adapter_sha256": "0"}}, Provenance(kind="adapter")),
        ({"rotation": {}}, Provenance(kind="rotated")),
        ({"rotation": {}, "converted_from": {}, "config": run_config(NETWORK)}, Provenance(kind="rotated")),
        ({"rotation": {}, "progress": {"epoch": 1}}, Provenance(kind="unknown")),
        ({"config": run_config(NETWORK), "card": CARD}, Provenance(kind="network_run", base=BASE)),
        ({"config": run_config(NETWORK), "card": CARD, "rotation": {}}, Provenance(kind="network_run", base=BASE)),
        ({"config": run_config(), "card": CARD}, Provenance(kind="head_run", base=BASE)),
        ({"config": run_config(), "card": CARD, "own_head": {}}, Provenance(kind="head_run", base=BASE)),
        (
            {"config": run_config()},
            Provenance(kind="head_run", base=BaseModelFile(model="models/base.pt")),  # written before cards were
        ),
        (
            {"config": run_config("head.start=random"), "card": CARD},
            Provenance(kind="head_run", base=BASE, random_head=True),
        ),
        ({"config": run_config(NETWORK, base=None), "card": {"base": None}}, Provenance(kind="network_run")),
    ],
)
def test_format_2_gets_the_provenance_its_entries_show(encoder, load, entries, expected):
    assert load(encoder_entries(encoder, ARCHITECTURE) | {"format_version": 2} | entries).provenance == expected


@pytest.mark.parametrize(
    ("entries", "problem"),
    [
        ({"config": {"no": "configuration"}}, "its configuration cannot be used"),
        ({"config": run_config(NETWORK), "card": {"base": {"sha256": 3}}}, "does not name the model"),
        ({"config": run_config(NETWORK), "card": "text"}, "does not name the model"),
    ],
)
def test_damaged_format_2_loads_and_keeps_the_problem(encoder, load, entries, problem):
    provenance = load(encoder_entries(encoder, ARCHITECTURE) | {"format_version": 2} | entries).provenance
    assert provenance.base is None
    assert problem in provenance.problem


def test_format_3_is_not_guessed_from_its_entries(encoder, load):
    entries = encoder_entries(encoder, ARCHITECTURE) | {"rotation": {}, "config": run_config(NETWORK)}
    assert load(entries).provenance == Provenance(kind="unknown")
    written = Provenance(kind="network_run", base=BASE)
    assert load(entries | {"provenance": written.entry()}).provenance == written


@pytest.mark.parametrize("entry", [None, "text", {}, {"kind": "found"}, {"kind": "rotated", "base": 3}])
def test_damaged_provenance_is_refused(encoder, load, entry):
    with pytest.raises(CheckpointError, match="its provenance is damaged"):
        load(encoder_entries(encoder, ARCHITECTURE) | {"provenance": entry})


@pytest.mark.parametrize(
    ("settings", "base"),
    [((NETWORK,), None), ((NETWORK,), "models/base.pt"), ((), "models/base.pt"), (("head.start=random",), "b.pt")],
)
def test_run_writes_the_provenance_the_upgrade_derives(encoder, load, settings, base):
    carried = run_config(*settings, base=base)
    card = base and BaseCard(**CARD["base"], licence="MIT", non_commercial=None, training_set=None)
    older = encoder_entries(encoder, ARCHITECTURE) | {"format_version": 2, "config": carried, "card": CARD}
    assert provenance_of_run(Config.model_validate(carried), card) == load(older).provenance

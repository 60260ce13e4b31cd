import re
from pathlib import Path

import pytest
import torch

from mrlspk import __version__
from mrlspk.config.architecture import ReDimNetConfig, describe_architecture
from mrlspk.errors import CheckpointError
from mrlspk.models.checkpoints import encoder_entries, load_model
from mrlspk.models.checkpoints.own import UPGRADES, upgrade_from_1, write_entries
from mrlspk.models.checkpoints.schema import LATEST_VERSION
from mrlspk.models.encoder import build_encoder

TINY = describe_architecture(
    ReDimNetConfig(F=8, C=4, block_1d_type="conv", stages_setup=((1, 1, 1, ((3, 3),), None),)), (4, 8)
)


@pytest.fixture
def encoder():
    torch.manual_seed(0)
    return build_encoder(TINY)


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


def test_format_1_is_upgraded_to_one_that_says_the_family(format_1, encoder, load):
    upgraded = upgrade_from_1(format_1)
    assert (upgraded["format_version"], upgraded["architecture"]["family"]) == (2, "redimnet")
    assert format_1["format_version"] == 1
    loaded = load(format_1)
    assert (loaded.architecture, loaded.config, loaded.contents["progress"]) == (TINY, {"seed": 3}, {"epoch": 2})
    waveform = torch.randn(1, 4000)
    assert torch.equal(loaded.encoder(waveform), encoder.eval()(waveform))


def test_every_older_format_has_its_upgrade():
    assert sorted(UPGRADES) == list(range(1, LATEST_VERSION))


def test_newer_format_is_refused_with_the_version_that_is_needed(encoder, load):
    entries = encoder_entries(encoder, TINY) | {"format_version": LATEST_VERSION + 1, "mrlspk_version": "7.3.0"}
    with pytest.raises(CheckpointError, match=f"has format version {LATEST_VERSION + 1}, and mrlspk") as caught:
        load(entries)
    assert re.search(r"written by mrlspk 7\.3\.0: install that version or a later one", caught.value.fix)
    assert __version__ in caught.value.what


@pytest.mark.parametrize("version", [None, 0, -1, "2", 1.0, True])
def test_a_format_that_is_no_number_from_1_is_refused(encoder, load, version):
    with pytest.raises(CheckpointError, match="expected a format version of 1 or more"):
        load(encoder_entries(encoder, TINY) | {"format_version": version})


@pytest.mark.parametrize("change", [{"architecture": None}, {"architecture": 3}])
def test_damaged_older_format_is_refused(format_1, load, change):
    with pytest.raises(CheckpointError, match="no whole checkpoint of format version 1"):
        load(format_1 | change)
    del format_1["architecture"]
    with pytest.raises(CheckpointError, match="no whole checkpoint of format version 1"):
        load(format_1)


def test_entries_are_read_without_running_anything(encoder, tmp_path):
    torch.save(encoder_entries(encoder, TINY), tmp_path / "model.pt")
    assert torch.load(tmp_path / "model.pt", weights_only=True)["format"] == "mrlspk"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no device that is always full")
def test_full_disk_is_an_error_of_the_disk(encoder):
    with pytest.raises(OSError, match="No space left"):
        write_entries(Path("/dev/full"), encoder_entries(encoder, TINY))

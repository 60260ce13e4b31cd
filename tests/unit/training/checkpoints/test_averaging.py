import pytest
import torch

from mrlspk.errors import CheckpointError
from mrlspk.training.checkpoints.averaging import average_checkpoints, average_states
from mrlspk.training.checkpoints.run_folder import kept_epochs


def checkpoint(weight, *, count, epoch):
    return {
        "format": "mrlspk",
        "model": {"norm.weight": torch.tensor(weight), "norm.num_batches_tracked": torch.tensor(count)},
        "criterion": {"loss.weight": torch.tensor([[float(epoch)]])},
        "optimiser": {"state": {}},
        "random_states": torch.zeros(1),
        "progress": {"epoch": epoch, "step": 10 * epoch},
        "corpus": {"training": "abc"},
    }


@pytest.fixture
def run_dir(tmp_path):
    contents = [([1.0, 10.0], 5), ([2.0, 20.0], 10), ([6.0, 60.0], 15)]
    for epoch, (weight, count) in enumerate(contents, start=1):
        torch.save(checkpoint(weight, count=count, epoch=epoch), tmp_path / f"epoch-{epoch:03}.pt")
    return tmp_path


def test_kept_epochs_are_sorted_oldest_first(run_dir):
    assert [path.name for path in kept_epochs(run_dir)[-2:]] == ["epoch-002.pt", "epoch-003.pt"]
    assert len(kept_epochs(run_dir)) == 3


def test_floats_are_averaged_and_counts_are_of_the_last_checkpoint(run_dir):
    entries = average_checkpoints(kept_epochs(run_dir))
    assert entries["model"]["norm.weight"].tolist() == [3.0, 30.0]
    assert entries["model"]["norm.num_batches_tracked"].item() == 15
    assert entries["criterion"]["loss.weight"].tolist() == [[2.0]]
    assert entries["averaged_epochs"] == [1, 2, 3]
    assert entries["corpus"] == {"training": "abc"}


def test_average_holds_no_state_to_resume_from(run_dir):
    assert not average_checkpoints(kept_epochs(run_dir)[-2:]).keys() & {"optimiser", "random_states"}


def test_average_sums_in_float64(tmp_path):
    values = [1.0, 1e-8, 1e-8, 1e-8, 1e-8, 1e-8, 1e-8, 1e-8]  # each small one alone vanishes beside 1 in float32
    states = [{"w": torch.tensor([value * 2**20])} for value in values]
    mean = average_states(states, paths=[tmp_path / str(index) for index in range(8)])["w"]
    assert mean.dtype == torch.float32
    assert mean.item() == torch.tensor((1.0 + 7e-8) / 8 * 2**20, dtype=torch.float64).float().item()
    assert mean.item() != 2**20 / 8


def test_checkpoints_of_two_networks_are_refused(run_dir):
    other = checkpoint([1.0, 2.0, 3.0], count=1, epoch=2)
    torch.save(other, run_dir / "epoch-002.pt")
    with pytest.raises(CheckpointError, match="not those of the network in epoch-003.pt"):
        average_checkpoints(kept_epochs(run_dir))

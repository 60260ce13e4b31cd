import pytest
from lightning_fabric.plugins.environments import SLURMEnvironment, TorchElasticEnvironment

from mrlspk.config.launcher import Launch, read_launch
from mrlspk.errors import ConfigError

TORCHRUN = {
    "TORCHELASTIC_RUN_ID": "none",
    "RANK": "3",
    "LOCAL_RANK": "1",
    "WORLD_SIZE": "4",
    "LOCAL_WORLD_SIZE": "2",
    "GROUP_RANK": "1",
}
SLURM = {
    "SLURM_JOB_NAME": "train",
    "SLURM_NTASKS": "6",
    "SLURM_NTASKS_PER_NODE": "3",
    "SLURM_NNODES": "2",
    "SLURM_PROCID": "4",
    "SLURM_LOCALID": "1",
    "SLURM_NODEID": "1",
}


def test_process_without_a_launcher_is_the_first():
    assert read_launch({"PATH": "/bin"}) == Launch(None, None, 0)
    assert read_launch({}).is_first


def test_torchrun_sets_processes_machines_and_rank():
    assert read_launch(TORCHRUN) == Launch(2, 2, 3)
    assert read_launch(TORCHRUN | {"RANK": "0"}).is_first
    assert not read_launch(TORCHRUN).is_first


def test_slurm_sets_processes_machines_and_rank():
    assert read_launch(SLURM) == Launch(3, 2, 4)


def test_torchrun_precedes_slurm():
    assert read_launch(SLURM | TORCHRUN) == Launch(2, 2, 3)


@pytest.mark.parametrize("name", ["bash", "interactive"])
def test_interactive_shell_of_slurm_starts_nothing(name):
    assert read_launch(SLURM | {"SLURM_JOB_NAME": name}) == Launch()


def test_single_task_of_slurm_needs_no_number_per_machine():
    assert read_launch({"SLURM_NTASKS": "1", "SLURM_PROCID": "0"}) == Launch(1, 1, 0)


@pytest.mark.parametrize(
    ("variables", "is_first"),
    [
        ({"NODE_RANK": "0", "LOCAL_RANK": "1", "WORLD_SIZE": "2"}, False),
        ({"NODE_RANK": "1", "MASTER_ADDR": "10.0.0.1"}, False),
        ({"NODE_RANK": "0", "MASTER_ADDR": "10.0.0.1"}, True),
        ({"NODE_RANK": "0", "LOCAL_RANK": "0"}, True),
    ],
)
def test_first_process_is_known_when_fabric_starts_them(variables, is_first):
    found = read_launch(variables)
    assert (found.processes, found.nodes, found.is_first) == (None, None, is_first)


@pytest.mark.parametrize(
    ("variables", "at_fault"),
    [
        (TORCHRUN | {"WORLD_SIZE": "5"}, "WORLD_SIZE"),
        (TORCHRUN | {"RANK": "x"}, "RANK"),
        (SLURM | {"SLURM_NTASKS": "5"}, "SLURM_NTASKS"),
        ({name: value for name, value in SLURM.items() if name != "SLURM_NTASKS_PER_NODE"}, "SLURM_NTASKS_PER_NODE"),
        ({name: value for name, value in SLURM.items() if name != "SLURM_PROCID"}, "SLURM_PROCID"),
        ({"LOCAL_RANK": "-1"}, "LOCAL_RANK"),
    ],
)
def test_invalid_launcher_variables_are_refused_by_name(variables, at_fault):
    with pytest.raises(ConfigError) as caught:
        read_launch(variables)
    assert caught.value.where == at_fault
    assert caught.value.fix


@pytest.mark.parametrize(("kind", "variables"), [(TorchElasticEnvironment, TORCHRUN), (SLURMEnvironment, SLURM)])
def test_launch_agrees_with_fabric(kind, variables, monkeypatch):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    found, theirs = read_launch(variables), kind()
    assert kind.detect()
    assert (found.processes * found.nodes, found.rank) == (theirs.world_size(), theirs.global_rank())
    theirs.validate_settings(num_devices=found.processes, num_nodes=found.nodes)

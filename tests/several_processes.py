"""Runs of a tiny corpus by several processes, started in every way there is."""

import socket
import sys
from pathlib import Path

import yaml

from factories import TINY_RUN, tiny_run, write_tiny_model, write_voices
from forked_commands import Starter

SCRIPTS = Path(sys.executable).parent
# The same losses in any number of processes: no statistics of a batch, nothing that a process draws for itself.
PRETRAINED = "model.backbone=null", "model.pretrained={use_pretrained: true, pretrained_checkpoint: origin.pt}"
HEAD = *PRETRAINED, "training.freeze_backbone_epochs=null"
ALIKE = *PRETRAINED, "training.freeze_norm_statistics=true"


def write_folder(folder):
    """Write a corpus of four voices, a model of one width, and the configuration of a run."""
    write_voices(folder / "corpus")
    write_tiny_model(folder / "origin.pt")
    run = tiny_run("corpus", training=TINY_RUN["training"] | {"num_epochs": 2, "batch_size": 2})
    (folder / "tiny.yaml").write_text(yaml.safe_dump(run))


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return str(found.getsockname()[1])


def train(name, *settings, flags=()):
    """Return the command behind ``mrlspk``."""
    sets = [part for text in (f"logging.run_name={name}", *settings) for part in ("--set", text)]
    return ["train", "--config", "tiny.yaml", *sets, *flags, "--json"]


def resume(name, *settings, flags=()):
    """Return the command that resumes a run with its own configuration and further settings."""
    sets = [part for text in (f"logging.run_name={name}", *settings) for part in ("--set", text)]
    return ["train", "--resume", "auto", *sets, *flags, "--json"]


def torchrun_variables(rank, n_processes, port):
    """Return what torchrun sets for a process of one machine."""
    return {
        "TORCHELASTIC_RUN_ID": "none",
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "GROUP_RANK": "0",
        "WORLD_SIZE": str(n_processes),
        "LOCAL_WORLD_SIZE": str(n_processes),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": port,
    }


def slurm_variables(rank, n_processes, port):
    """Return what srun sets for a process of one machine; the port is from the number of the job."""
    return {
        "SLURM_JOB_NAME": "train",
        "SLURM_NTASKS": str(n_processes),
        "SLURM_NTASKS_PER_NODE": str(n_processes),
        "SLURM_NNODES": "1",
        "SLURM_PROCID": str(rank),
        "SLURM_LOCALID": str(rank),
        "SLURM_NODEID": "0",
        "SLURM_NODELIST": "127.0.0.1",
        "MASTER_PORT": port,
    }


def node_variables(rank, _n_processes, port):
    """Return what a user sets on each of several machines with one process."""
    return {"NODE_RANK": str(rank), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}


class Runs:
    """Starts runs in a folder.

    Attributes:
        folder: Where corpus, configuration and checkpoints are.
        starter: Of the processes.
    """

    def __init__(self, folder, starter):
        self.folder, self.starter = folder, starter

    def dir(self, name):
        return self.folder / "checkpoints" / name

    def start(self, name, *settings, n_processes=2, variables=torchrun_variables, fault=None, flags=()):
        """Start the processes of a run as torchrun does, each forked from one that has everything imported."""
        port, command = free_port(), train(name, *settings, flags=flags)
        return [
            self.starter.fork("mrlspk", *command, cwd=self.folder, fault=fault, **variables(rank, n_processes, port))
            for rank in range(n_processes)
        ]

    def whole(self, name, *settings, **options):
        """Run to the end, and return the folder of the run."""
        processes = self.start(name, *settings, **options)
        codes = [each.exit_code() for each in processes]
        assert codes == [0] * len(codes), "\n".join(each.stderr for each in processes)
        assert [each.stdout for each in processes[1:]] == [""] * (len(codes) - 1)
        return self.dir(name)

    def alone(self, name, *settings, flags=(), fault=None):
        """Run to the end in one process, and return the folder of the run."""
        process = self.starter.fork("mrlspk", *train(name, *settings, flags=flags), cwd=self.folder, fault=fault)
        assert process.exit_code() == 0, process.stderr
        return self.dir(name)

    def torchrun(self, name, *settings, options=("--nproc-per-node", "2"), flags=()):
        """Start a run by torchrun itself."""
        command = [*options, "-m", "mrlspk", *train(name, *settings, flags=flags)]
        return self.starter.fork("torchrun", "--master-port", free_port(), *command, cwd=self.folder)

    def fabric(self, name, *settings, flags=()):
        """Start a run whose first process starts the other, as the console script does."""
        command = train(name, "hardware.devices=2", *settings, flags=flags)
        return self.starter.fork("mrlspk", *command, cwd=self.folder)


def runs_in(tmp_path_factory):
    """Yield runs in a new folder, and leave no process of theirs."""
    folder = tmp_path_factory.mktemp("several")
    write_folder(folder)
    starter = Starter(tmp_path_factory.mktemp("output"))
    yield Runs(folder, starter)
    starter.close()

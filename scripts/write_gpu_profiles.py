"""Write configs/gpu/: the profiles of fine-tuning the published b2 whole, for GPUs of six sizes.

    .venv/bin/python scripts/write_gpu_profiles.py

It runs the command for each size with `--vram-limit` and `--write`. Memory depends on the architecture, not on
the weights: a checkpoint of the published architecture with random weights stands in for the model, so that nothing is
fetched. Without `--measure`, which needs a GPU of 80 GiB, the files hold predictions and say so.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

import torch
from typer.testing import CliRunner

from mrlspk.cli.app import app
from mrlspk.config import load_config
from mrlspk.config.architecture import PublishedReDimNetConfig, describe_architecture
from mrlspk.models.checkpoints import encoder_entries
from mrlspk.models.encoder import build_encoder

ROOT = Path(__file__).resolve().parent.parent
REFERENCE = ROOT / "tests" / "conformance" / "data" / "redimnet" / "redimnet-b2.json"
RECIPE = ROOT / "configs" / "fine-tune.yaml"
FOLDER = ROOT / "configs" / "gpu"
SIZES_GIB = 8, 12, 16, 24, 40, 80
PRECISION, TARGET_BATCH = "bf16", 512


def write_stand_in(path: Path) -> Path:
    """Write a checkpoint of the published architecture b2 with random weights."""
    published = PublishedReDimNetConfig.model_validate(json.loads(REFERENCE.read_text(encoding="utf-8"))["config"])
    architecture = describe_architecture(published.backbone(), load_config(RECIPE).model.matryoshka_dims)
    torch.save(encoder_entries(build_encoder(architecture), architecture), path)
    return path


def arguments_for(gib: int, stand_in: Path, *, measure: bool) -> list[str]:
    """Return the arguments of the command for a GPU of ``gib`` GiB."""
    return [
        "gpu-profile",
        *("--config", str(RECIPE)),
        *("--set", f"hardware.precision={PRECISION}"),
        *("--vram-limit", f"{gib}GiB"),
        *("--target-batch", str(TARGET_BATCH)),
        *("--stand-in", str(stand_in)),
        *(() if measure else ("--device", "cpu")),
        *("--write", str(FOLDER / f"{gib}gib.yaml"), "--force", "--json"),
    ]


def main() -> int:
    """Write the files; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--measure", action="store_true", help="measure on the GPU that is here")
    measure = parser.parse_args().measure
    with tempfile.TemporaryDirectory() as folder:
        stand_in = write_stand_in(Path(folder) / "stand-in.pt")
        for gib in SIZES_GIB:
            result = CliRunner().invoke(app, arguments_for(gib, stand_in, measure=measure))
            if result.exit_code:
                print(result.stderr, file=sys.stderr)
                return result.exit_code
            report = json.loads(result.stdout)
            print(f"{gib} GiB: {report['batch_size']} x {report['accumulation_steps']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

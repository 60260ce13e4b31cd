"""Write configs/gpu/: batch and accumulation for fine-tuning the published b2 whole, for GPUs of six sizes.

    .venv/bin/python scripts/write_gpu_profiles.py

The files hold the keys that differ from configs/fine-tune.yaml; the command finds them with `--vram-limit`. Memory
depends on the architecture, not on the weights: a checkpoint of the published architecture with random weights stands
in for the model, so that nothing is fetched. Without `--measure`, which needs a GPU of 80 GiB, the files hold
predictions and say so.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

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
        "--json",
    ]


def render(gib: int, report: dict[str, Any]) -> str:
    """Return the text of the file for a GPU of ``gib`` GiB."""
    origin = f"measured on {report['device']}" if report["device"] else "a prediction, not measured on a GPU"
    peak, usable = f"{report['predicted_peak_mib']:.0f}", f"{report['usable_mib']:.0f}"
    return (
        f"# For a GPU of {gib} GiB, over configs/{RECIPE.name}, by mrlspk gpu-profile: {origin}.\n"
        f"# {peak} of {usable} usable MiB are expected.\n"
        f"training: {{batch_size: {report['batch_size']}, accumulation_steps: {report['accumulation_steps']}}}\n"
        f"hardware: {{precision: {PRECISION}}}\n"
    )


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
            (FOLDER / f"{gib}gib.yaml").write_text(render(gib, report), encoding="utf-8")
            print(f"{gib} GiB: {report['batch_size']} x {report['accumulation_steps']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Compare the memory that gpu-profile predicts on the CPU with what steps take on a GPU, as a Markdown table.

For each model, frozen or not, in fp32 and bf16, and for each card size: the batch that the prediction chooses, its
predicted peak, and the peak of steps of that batch on the GPU, whose allocator is held to the card size. Exits 1 where
a peak is off by more than a tenth, or a step runs out of memory. With --predict-only it needs no GPU and shows
predictions alone.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import torch

from mrlspk.config import Config, load_config
from mrlspk.config.architecture import describe_architecture
from mrlspk.config.backbone import ReDimNetConfig
from mrlspk.config.published import PublishedReDimNetConfig
from mrlspk.models.encoder import build_encoder
from mrlspk.training.memory_probe import CUDA_CONTEXT_MIB, MIB, MemoryModel, measure_on_card, usable_memory
from mrlspk.training.probe_step import ProbeStep, build_probe_step
from mrlspk.training.saved_memory import predict_memory
from mrlspk.training.start import build_fabric
from mrlspk.workflows.profile_gpu import VOXCELEB2_SPEAKERS

ARCHITECTURES = Path(__file__).resolve().parent.parent / "tests" / "conformance" / "data" / "redimnet"
TRAINED = {"head only": "null", "everything": "0"}
TOLERANCE = 0.1


@dataclass(frozen=True)
class Case:
    """One row of the table; ``measured_mib`` is None where memory ran out or nothing was measured."""

    names: tuple[str, str, str]
    card_gib: int
    batch: int
    predicted_mib: float
    measured_mib: float | None

    @property
    def error(self) -> float | None:
        """How far the prediction is above the measurement, as a share of it."""
        return None if self.measured_mib is None else self.predicted_mib / self.measured_mib - 1


def read_backbone(model: str) -> ReDimNetConfig:
    """Return the architecture that the reference vectors of ``model`` were made with."""
    reference = json.loads((ARCHITECTURES / f"redimnet-{model}.json").read_text(encoding="utf-8"))
    return PublishedReDimNetConfig.model_validate(reference["config"]).backbone()


def build_step(config: Config, device: str) -> ProbeStep:
    """Return the step of ``config`` on a device, with random weights."""
    backbone = config.model.backbone
    assert backbone is not None
    fabric = build_fabric(config.hardware.model_copy(update={"device": device}))
    encoder = build_encoder(describe_architecture(backbone, config.model.matryoshka_dims))
    return build_probe_step(config, fabric, encoder, n_speakers=VOXCELEB2_SPEAKERS)


def check(names: tuple[str, str, str], cards: list[int], *, predict_only: bool) -> Iterator[Case]:
    """Yield a case for each card size."""
    model, trained, precision = names
    config = load_config(
        None,
        [
            "model.pretrained.use_pretrained=false",
            f"model.backbone={read_backbone(model).model_dump_json()}",
            f"training.freeze_backbone_epochs={TRAINED[trained]}",
            f"hardware.precision={precision}",
        ],
    )
    prediction, _ = predict_memory(build_step(config, "cpu"))
    step = None if predict_only else build_step(config, "cuda")
    for card in cards:
        yield check_card(names, prediction, step, card)


def check_card(names: tuple[str, str, str], prediction: MemoryModel, step: ProbeStep | None, card: int) -> Case:
    """Measure the batch that is predicted to fit a card of ``card`` GiB; without a step, predict it only."""
    batch = prediction.largest_batch(usable_memory(1024 * card))
    measured = None
    if step is not None and batch:
        allowed = (1024 * card - CUDA_CONTEXT_MIB) * MIB
        torch.cuda.set_per_process_memory_fraction(
            min(1.0, allowed / torch.cuda.get_device_properties(step.fabric.device).total_memory), step.fabric.device
        )
        measured = measure_on_card(step)(batch)
    return Case(names, card, batch, prediction.peak_mib(batch), measured)


def show(case: Case, *, predict_only: bool) -> None:
    """Print a row."""
    row = [*case.names, f"{case.card_gib} GiB", case.batch, f"{case.predicted_mib:.0f}"]
    if not predict_only:
        row.append("out of memory" if case.measured_mib is None else f"{case.measured_mib:.0f}")
        row.append("" if case.error is None else f"{case.error:+.1%}")
    print("| " + " | ".join(map(str, row)) + " |", flush=True)


def main() -> int:
    """Print the table; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=["b0", "b2", "b6"], help="names of reference vectors")
    parser.add_argument("--cards", nargs="+", type=int, default=[8, 12, 16, 24], help="card sizes in GiB")
    parser.add_argument("--predict-only", action="store_true", help="measure nothing")
    arguments = parser.parse_args()
    if not (arguments.predict_only or torch.cuda.is_available()):
        parser.error("there is no GPU here; --predict-only shows predictions alone")
    columns = ["model", "trained", "precision", "card", "batch", "predicted MiB"]
    columns += [] if arguments.predict_only else ["measured MiB", "prediction off by"]
    print("| " + " | ".join(columns) + " |\n" + "|---" * len(columns) + "|")
    cases = []
    for names in product(arguments.models, TRAINED, ("fp32", "bf16")):
        for case in check(names, arguments.cards, predict_only=arguments.predict_only):
            show(case, predict_only=arguments.predict_only)
            cases.append(case)
    if arguments.predict_only:
        return 0
    return int(any(case.error is None or abs(case.error) > TOLERANCE for case in cases))


if __name__ == "__main__":
    sys.exit(main())

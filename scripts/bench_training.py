"""Measure what each key of section hardware does to the training steps of a configuration, as a Markdown table.

A step is the forward pass, the backward pass and the optimiser, on random crops of the configured length. All variants
run in one process and take steps in turn, round after round, so that other load on the machine affects them equally.
The table shows medians over the rounds, and ratios to the plain variant. Step memory, on a GPU, is the peak of a step
without what stays in memory between steps. Weights are random: no model is fetched, and no corpus is needed.
"""

import argparse
import statistics
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import torch

from mrlspk.config import Config, load_config
from mrlspk.config.architecture import describe_architecture
from mrlspk.inference.torch_device import find_device
from mrlspk.models.encoder import build_encoder
from mrlspk.training.hardware import build_acceleration, set_tf32
from mrlspk.training.memory.probe import Probe, build_train_probe

MIB = 2**20
PLAIN = (
    "hardware.precision=fp32",
    *(f"hardware.{key}=false" for key in ("tf32", "channels_last", "compile", "gradient_checkpointing")),
)
VARIANTS = {
    "plain": (),
    "kernels not timed first": (),
    "tf32": ("hardware.tf32=true",),
    "bf16": ("hardware.precision=bf16",),
    "fp16": ("hardware.precision=fp16",),
    "channels-last": ("hardware.channels_last=true",),
    "bf16, channels-last": ("hardware.precision=bf16", "hardware.channels_last=true"),
    "compiled": ("hardware.compile=true",),
    "bf16, compiled": ("hardware.precision=bf16", "hardware.compile=true"),
    "bf16, channels-last, compiled": (
        "hardware.precision=bf16",
        "hardware.channels_last=true",
        "hardware.compile=true",
    ),
    "gradient checkpointing": ("hardware.gradient_checkpointing=true",),
    "bf16, gradient checkpointing": ("hardware.precision=bf16", "hardware.gradient_checkpointing=true"),
}
UNTIMED = "kernels not timed first"  # a GPU's are, unless a run is deterministic
GPU_ONLY = UNTIMED, "tf32", "fp16"


@dataclass
class Variant:
    """The steps of a variant and their measurements."""

    name: str
    config: Config
    probe: Probe
    seconds: list[float] = field(default_factory=list)
    memory_mib: float = 0.0

    def measure(self, batch_size: int, n_steps: int) -> None:
        """Take steps; record the seconds per step and the peak memory."""
        device = self.probe.device
        before = _reset_memory(device)
        set_tf32(allowed=self.config.hardware.tf32)
        started = time.perf_counter()
        for _ in range(n_steps):
            self.probe.take(batch_size)
        _wait(device)
        self.seconds.append((time.perf_counter() - started) / n_steps)
        self.probe.forget()
        if device.type == "cuda":
            self.memory_mib = max(self.memory_mib, (torch.cuda.max_memory_allocated(device) - before) / MIB)

    def warm_up(self, batch_size: int) -> float:
        """Take the first steps, which compile and choose kernels; return their seconds."""
        set_tf32(allowed=self.config.hardware.tf32)
        started = time.perf_counter()
        for _ in range(2):
            self.probe.take(batch_size)
        _wait(self.probe.device)
        self.probe.forget()
        return time.perf_counter() - started


def build_variant(name: str, path: Path | None, overrides: list[str]) -> Variant:
    """Return a variant; all have the same random weights."""
    config = load_config(path, [*overrides, *PLAIN, *VARIANTS[name]])
    if config.model.backbone is None or config.trains_head_alone:
        sys.exit("name a model.backbone, and train through it: training.freeze_backbone_epochs=0, for example")
    torch.manual_seed(0)
    encoder = build_encoder(describe_architecture(config.model.backbone, config.model.matryoshka_dims))
    device = find_device(config.hardware.device)
    probe = build_train_probe(config, encoder, device=device, n_speakers=1000)
    build_acceleration(config.hardware, encoder, device)  # which a probe on the CPU has left uncompiled
    probe.searched = name != UNTIMED and not config.deterministic
    return Variant(name, config, probe)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _reset_memory(device: torch.device) -> int:
    """Reset the peak; return the bytes held now."""
    if device.type != "cuda":
        return 0
    torch.cuda.reset_peak_memory_stats(device)
    return torch.cuda.memory_allocated(device)


def table(variants: list[Variant], first: dict[str, float], batch_size: int) -> str:
    """Return the rows of all variants; the first variant is the plain one."""
    plain = variants[0]
    rows = [
        "| variant | ms a step | crops/s | speed, plain = 1 | step memory, MiB | plain = 1 | first two steps, s |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for variant in variants:
        seconds = statistics.median(variant.seconds)
        # Each round has both, minutes apart at most: the median of their ratios is steadier than that of medians.
        speed = statistics.median(own / other for own, other in zip(plain.seconds, variant.seconds, strict=True))
        memory, ratio = ("–", "–")
        if plain.memory_mib:
            memory, ratio = f"{variant.memory_mib:.0f}", f"{variant.memory_mib / plain.memory_mib:.2f}"
        rows.append(
            f"| {variant.name} | {1000 * seconds:.1f} | {batch_size / seconds:.1f} | {speed:.2f} | {memory} | {ratio} "
            f"| {first[variant.name]:.1f} |"
        )
    return "\n".join(rows)


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, help="YAML of a run; its backbone is built with random weights")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="as for train; repeatable")
    parser.add_argument("--batch-size", type=int, default=16, help="crops of a step")
    parser.add_argument("--rounds", type=int, default=15, help="measurements of each variant")
    parser.add_argument("--steps", type=int, default=2, help="steps of a measurement")
    parser.add_argument("--variants", nargs="+", choices=[*VARIANTS][1:], help="beside the plain one; default: all")
    arguments = parser.parse_args()
    device = find_device(load_config(arguments.config, arguments.set).hardware.device)
    names = [name for name in arguments.variants or VARIANTS if device.type == "cuda" or name not in GPU_ONLY]
    names = ["plain", *(name for name in names if name != "plain")]
    variants = [build_variant(name, arguments.config, arguments.set) for name in names]
    first = {variant.name: variant.warm_up(arguments.batch_size) for variant in variants}
    for number in range(arguments.rounds):
        turn = number % len(variants)
        for variant in variants[turn:] + variants[:turn]:
            variant.measure(arguments.batch_size, arguments.steps)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    print(f"{name}, torch {torch.__version__}, {arguments.batch_size} crops a step, {arguments.rounds} rounds\n")
    print(table(variants, first, arguments.batch_size))


if __name__ == "__main__":
    main()

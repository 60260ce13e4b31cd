"""Measure how many recordings a second PyTorch embeds, by length and batch size, as a Markdown table.

    .venv/bin/python scripts/bench_throughput.py --device cuda [--seconds 2 4 10] [--batch-sizes 1 8 32 128]

Variants take turns, so that other load affects them equally, and the best round of each counts. As many batches are
embedded at once as the backend allows. Weights are random, and waveforms are in memory: a run is no faster than its
decoding. Compiling for the first batch is not timed.
"""

import argparse
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch

from mrlspk.config import load_config
from mrlspk.config.architecture import describe_architecture
from mrlspk.inference.torch_backend import TorchBackend
from mrlspk.inference.torch_device import find_device
from mrlspk.models.encoder import Encoder, build_encoder

VARIANTS = {
    "eager fp32": {"as_published": True},
    "default": {},
    "compiled": {"compiled": True},
    "bf16": {"precision": "bf16"},
    "bf16, compiled": {"precision": "bf16", "compiled": True},
}
EAGER = "eager fp32"


def main() -> None:
    """Print a row per length, batch size and variant."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, default=Path("configs/scratch-small.yaml"))
    parser.add_argument("--device", default="auto")
    parser.add_argument("--seconds", type=float, nargs="+", default=[2.0, 4.0, 10.0])
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[1, 8, 32, 128])
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    encoder = random_encoder(arguments.config).to(find_device(arguments.device))
    print(f"{torch.__version__}, {device_name(encoder.device)}\n")
    print("| seconds | batch | network | recordings/s | times real time | against eager |\n|---|---|---|---|---|---|")
    backends = {name: TorchBackend(encoder, **VARIANTS[name]) for name in [EAGER, *arguments.variants]}
    for seconds in arguments.seconds:
        for batch_size in arguments.batch_sizes:
            waveforms = np.random.default_rng(0).normal(0, 0.1, (batch_size, round(16_000 * seconds)))
            rates = measure(backends, waveforms.astype(np.float32), arguments.rounds)
            for name, rate in rates.items():
                ratio = f"{rate / rates[EAGER]:.2f}x"
                print(f"| {seconds:g} | {batch_size} | {name} | {rate:,.1f} | {seconds * rate:,.0f} | {ratio} |")


def random_encoder(config: Path) -> Encoder:
    """Return an encoder of the architecture in a configuration."""
    model = load_config(config).model
    if model.backbone is None:
        sys.exit(f"{config} has no model.backbone")
    torch.manual_seed(0)
    return build_encoder(describe_architecture(model.backbone, model.matryoshka_dims)).eval()


def device_name(device: torch.device) -> str:
    """Return what the embeddings are computed on."""
    return (
        torch.cuda.get_device_name(device) if device.type == "cuda" else f"{device}, {torch.get_num_threads()} threads"
    )


def measure(backends: dict[str, TorchBackend], waveforms: np.ndarray, rounds: int) -> dict[str, float]:
    """Return the recordings per second of the best round, by variant."""
    rates = dict.fromkeys(backends, 0.0)
    for number in range(rounds + 1):
        for name, backend in backends.items():
            seconds, n_batches = embed(backend, waveforms)
            if number:
                rates[name] = max(rates[name], n_batches * len(waveforms) / seconds)
    return rates


def embed(backend: TorchBackend, waveforms: np.ndarray) -> tuple[float, int]:
    """Embed a few batches, as many at once as the backend allows; return the seconds, and how many they were."""
    n_batches = 2 * backend.concurrency
    with ThreadPoolExecutor(backend.concurrency) as threads:
        start = time.perf_counter()
        list(threads.map(backend.embed, [waveforms] * n_batches))
        return time.perf_counter() - start, n_batches


if __name__ == "__main__":
    main()

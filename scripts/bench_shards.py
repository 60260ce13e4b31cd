"""Measure how fast a corpus is packed, and how fast crops are cut from files and from shards, as a Markdown table.

    scripts/bench_shards.py $MRLSPK_SHARED/speech/train

Shards are read from the warm file cache, from an HTTP server and from an S3 server (moto's, which keeps objects in
memory), each a process of its own on this machine, which shares the cores with the loader. The contenders take turns,
so that other load affects them equally; the table shows medians over the rounds. Without workers the time is that of
the processor, in all threads of the loader; with workers it is what passes, and waiting for one request goes on beside
the decoding of others.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import requests

from mrlspk.data.corpora.recipe_registry import scan_corpus
from mrlspk.data.crops.dataset import CropDataset
from mrlspk.data.crops.loader import WatchedLoader
from mrlspk.data.crops.sampler import RankBatches, ShuffleSampler
from mrlspk.data.shards.order import ShardWindow
from mrlspk.workflows.pack_shards import pack_shards

BATCH = 32
PATIENCE_SECONDS = 60
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "y", "AWS_DEFAULT_REGION": "us-east-1"}
HTTP, S3 = 8791, 8792  # ports


def main() -> None:
    """Pack, serve, let the contenders take turns, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 2])
    parser.add_argument("--crops", type=int, default=640, help="in a round")
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        _serve(given.serve)
        return
    with TemporaryDirectory(prefix="shards-") as scratch, ExitStack() as servers:
        began = time.perf_counter()
        packed = pack_shards(given.corpus, Path(scratch) / "shards", shard_bytes=8 << 20)
        seconds = time.perf_counter() - began
        print(
            f"packed {packed.n_utterances:,} recordings, {packed.n_bytes / 1e6:,.0f} MB, into {packed.n_shards} shards "
            f"in {seconds:.1f} s: {packed.n_utterances / seconds:,.0f} recordings/s\n"
        )
        http = servers.enter_context(_http_server(given.corpus, packed.path))
        s3 = servers.enter_context(_s3_server(packed.path))
        places = {"files": given.corpus, "shards": packed.path, "shards over HTTP": http, "shards in S3": s3}
        _print_table(_measure(places, given), given)


def _measure(places: dict[str, Path | str], given: argparse.Namespace) -> dict[tuple[str, int], float]:
    """Return the crops per second of each place and number of workers, medians over the rounds."""
    datasets = {name: CropDataset(scan_corpus(Path(place)), crop_seconds=3.0, seed=0) for name, place in places.items()}
    found: dict[tuple[str, int], list[float]] = {}
    for number in range(given.rounds):
        for workers in given.workers:
            for name, dataset in datasets.items():
                window = None if name == "files" else ShardWindow(dataset.number_shards(), 2)
                order = ShuffleSampler(len(dataset), seed=number, n_crops=given.crops, window=window)
                found.setdefault((name, workers), []).append(_rate(dataset, order, workers))
    return {key: statistics.median(rates) for key, rates in found.items()}


def _rate(dataset: CropDataset, order: ShuffleSampler, workers: int) -> float:
    """Return the crops per second of the batches after the first, with which the workers start."""
    loader = WatchedLoader(dataset, RankBatches(order, batch_size=BATCH), num_workers=workers)
    clock = time.perf_counter if workers else time.process_time
    batches = iter(loader)
    next(batches)
    began = clock()
    n_crops = sum(len(batch[0]) for batch in batches)
    seconds = clock() - began
    loader.close()
    return n_crops / seconds


def _print_table(rates: dict[tuple[str, int], float], given: argparse.Namespace) -> None:
    names = (f"{each} workers" if each else "a core" for each in given.workers)
    print("| 3 s crops/s from | " + " | ".join(names) + " |")
    print("|---" * (1 + len(given.workers)) + "|")
    for name in dict.fromkeys(name for name, _ in rates):
        cells = [f"{rates[name, each]:,.0f} ({rates[name, each] / rates['files', each]:.2f})" for each in given.workers]
        print(f"| {name} | " + " | ".join(cells) + " |")


def _serve(folder: Path) -> None:
    """Serve the files of a folder, with ranges."""
    from aiohttp import web

    application = web.Application()
    application.router.add_static("/", folder)
    web.run_app(application, host="127.0.0.1", port=HTTP, print=None, access_log=None)


@contextmanager
def _http_server(corpus: Path, folder: Path) -> Iterator[str]:
    command = [sys.executable, __file__, str(corpus), "--serve", str(folder)]
    with _running(command, f"http://127.0.0.1:{HTTP}/index.parquet"):
        yield f"http://127.0.0.1:{HTTP}"


@contextmanager
def _s3_server(folder: Path) -> Iterator[str]:
    import s3fs

    address = f"http://127.0.0.1:{S3}"
    os.environ.update(CREDENTIALS, AWS_ENDPOINT_URL=address)
    with _running([sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(S3)], f"{address}/moto-api/"):
        files = s3fs.S3FileSystem()
        files.mkdir("speech")
        files.put(str(folder), "speech/shards", recursive=True)
        yield "s3://speech/shards"


@contextmanager
def _running(command: list[str], address: str) -> Iterator[None]:
    """Run a server in the block, from its first answer on."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(10 * PATIENCE_SECONDS):
            try:
                requests.get(address, timeout=PATIENCE_SECONDS).raise_for_status()
                break
            except requests.RequestException:
                time.sleep(0.1)
        else:
            raise SystemExit(f"no server at {address}")
        yield
    finally:
        process.terminate()
        process.wait()


if __name__ == "__main__":
    main()

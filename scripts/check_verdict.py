"""Score the candidates of head runs on lists that no run selected on: was the kept one the best? As a Markdown table.

    scripts/check_verdict.py checkpoints/one checkpoints/two --inside trials.txt audio --outside other.txt vectors.npz

A list stands beside the folder of its audio, or the file of its vectors if the runs are of vectors. ``--inside`` names
lists of the corpora that were trained on, ``--outside`` others; both may be repeated. Numbers are EERs relative to the
own full embedding of the model, as geometric means over the lists and the runs.
"""

import argparse
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mrlspk.data.audio.source import as_source
from mrlspk.data.manifest import Utterance
from mrlspk.data.trials import Trials, read_trials
from mrlspk.feature_store.extraction import ensure_utterances
from mrlspk.inference.model_file import ModelFile
from mrlspk.inference.torch_backend import load_checkpoint
from mrlspk.metrics.cosine import prefix_cosine_scores
from mrlspk.metrics.eer import equal_error_rate
from mrlspk.models.head_transforms import fold_head
from mrlspk.rotation.selection import EmbeddedTrials
from mrlspk.vectors.loading import load_vectors

CANDIDATES = "rotation", "start", "trained", "best"
PLACES = "inside", "outside"


def main() -> None:
    """Score every candidate of every run on every list, and print the table."""
    given = _arguments()
    lists = {place: [_load_list(*map(Path, pair), given.runs[0]) for pair in getattr(given, place)] for place in PLACES}
    kept = Counter(_read(run / "best.pt").contents["verdict"]["kept"] for run in given.runs)
    dims = _read(given.runs[0] / "best.pt").encoder.dims
    print(f"kept: {', '.join(f'{name} {n}' for name, n in kept.most_common())}")
    print(f"\n| candidate | {' | '.join(f'{dim} in / out' for dim in dims)} |")
    print("|---" * (len(dims) + 1) + "|")
    for name in CANDIDATES:
        ratios = {
            place: np.mean([_log_ratios(run, name, lists[place], dims) for run in given.runs], 0) for place in lists
        }
        cells = (f"{np.exp(one):.2f} / {np.exp(other):.2f}" for one, other in zip(*ratios.values(), strict=True))
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


def _log_ratios(
    run: Path, name: str, lists: Sequence[tuple[Trials, list[str], torch.Tensor]], dims: tuple[int, ...]
) -> NDArray[np.float64]:
    """Return the mean over lists of the log of EERs by width, relative to the own embedding at full width."""
    path = run / f"{name}.pt"
    loaded = _read(path if path.exists() else run / "rotation.pt")
    own, head = loaded.contents["own_head"], fold_head(loaded.encoder.copy_head())
    found = []
    for trials, ids, pooled in lists:
        before = (pooled.double() @ own["weight"].double().T + own["bias"].double()).numpy()
        rates = _rates(trials, ids, head.apply(pooled).numpy(), dims) / _rates(trials, ids, before, (before.shape[1],))
        found.append(np.log(rates))
    return np.mean(found, axis=0) if found else np.full(len(dims), np.nan)


def _rates(
    trials: Trials, ids: Sequence[str], vectors: NDArray[np.floating], dims: tuple[int, ...]
) -> NDArray[np.float64]:
    """Return the EERs by width; one of zero counts as half an error."""
    listed = EmbeddedTrials.of(trials, ids, vectors)
    scores = prefix_cosine_scores(vectors, listed.enroll, listed.test, dims)
    least = 0.5 / max(trials.n_target, trials.n_nontarget)
    return np.array([max(equal_error_rate(column, trials.is_target), least) for column in scores.T])


def _load_list(trials: Path, place: Path, run: Path) -> tuple[Trials, list[str], torch.Tensor]:
    """Return a list, its utterances, and what the heads of a run read of them: vectors, or pooled values of audio."""
    read = read_trials(trials)
    if place.is_file():
        table = load_vectors(place)
        unit = table.vectors / np.linalg.norm(table.vectors, axis=1, keepdims=True)
        return read, list(table.ids), torch.from_numpy(np.asarray(unit, np.float32))
    ids = read.utterance_ids
    store = ensure_utterances(
        _read(run / "rotation.pt").encoder,
        [Utterance(each, read.speaker_of(each), "", as_source(place / each)) for each in ids],
        folder=Path("features"),
        dtype="float32",
        batch_size=16,
        max_seconds=60.0,
        precision="fp32",
    )
    return read, list(ids), store.rows(np.arange(store.n_rows))


def _read(path: Path) -> Any:
    """Return a loaded checkpoint of a run."""
    return load_checkpoint(ModelFile(path, str(path)))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path, help="folders of head runs from one model")
    for place in PLACES:
        parser.add_argument(f"--{place}", nargs=2, action="append", default=[], metavar=("TRIALS", "AUDIO|VECTORS"))
    return parser.parse_args()


if __name__ == "__main__":
    main()

"""Compare closed forms on the vectors of any model: their EER relative to its own embedding, as a Markdown table.

    scripts/check_transform.py --train train.npz more.npz --inside trials.txt test.npz --outside trials.txt other.npz

The speaker of a training vector is the part of its id before the first "/". ``--inside`` names a trial list and the
vectors of its recordings, whose corpus training speech is of; ``--outside`` one of other speech. Both may be repeated.
Training files may hold crops: they are fitted on like whole recordings. Numbers are geometric means over the lists.
"""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mrlspk.data.trials import read_trials
from mrlspk.metrics.cosine import prefix_cosine_scores
from mrlspk.metrics.eer import equal_error_rate
from mrlspk.rotation.closed_form import fit_rotation
from mrlspk.rotation.selection import EmbeddedTrials
from mrlspk.rotation.transform import Order, fit_transform
from mrlspk.vectors.loading import load_vectors
from mrlspk.vectors.speakers import require_speakers
from study.flattening import flattening

WIDTHS = 16, 32, 64, 128
TINY = 1e-9  # added to vectors before truncation: some models' first values are all zero

type Vectors = NDArray[np.floating]
type Form = Callable[[Vectors], Vectors]


def main() -> None:
    """Fit every form, score every list, and print the table."""
    given = _arguments()
    vectors, speakers = _load_training(given.train)
    lists = {place: [_load_list(*map(Path, pair)) for pair in getattr(given, place)] for place in ("inside", "outside")}
    widths = (*(width for width in WIDTHS if width < vectors.shape[1]), vectors.shape[1])
    own = {place: _rates(lists[place], lambda each: each, widths[-1:]) for place in lists}
    print(f"{len(vectors)} vectors of {len(np.unique(speakers))} speakers; own EER in %, inside then outside:")
    print(", ".join(f"{100 * rate:.2f}" for place in lists for rate in own[place][:, 0]))
    print(f"their geometric mean: {100 * float(_mean(np.concatenate([*own.values()]))[0]):.2f}")
    print(f"\n| form | {' | '.join(f'{width} in / out' for width in widths)} | all |")
    print("|---" * (len(widths) + 2) + "|")
    for name, form in _forms(vectors, speakers, given.flatten).items():
        ratios = {place: _rates(lists[place], form, widths) / own[place] for place in lists}
        inside, outside, everywhere = map(_mean, (*ratios.values(), np.concatenate([*ratios.values()])))
        cells = (f"{each:.2f} / {other:.2f}" for each, other in zip(inside, outside, strict=True))
        print(f"| {name} | {' | '.join(cells)} | {' / '.join(f'{each:.2f}' for each in everywhere)} |", flush=True)


def _forms(vectors: Vectors, speakers: NDArray[np.integer], powers: Sequence[float]) -> dict[str, Form]:
    """Return the forms by name, each fitted to the training vectors."""
    rotation = fit_rotation(vectors, speakers, method="svd").matrix
    flat = flattening(vectors, power=0.2)
    forms: dict[str, Form] = {
        "own, truncated": lambda each: each + TINY,
        "rotation `svd`": lambda each: each @ rotation.T,
        "`svd`, rows × energy^−0.2": lambda each: each @ flat.T,
    }

    def add(name: str, order: Order, flatten: float, *, centre: bool = True, unit_length: bool = True) -> None:
        found = fit_transform(vectors, speakers, centre=centre, flatten=flatten, order=order, unit_length=unit_length)
        folded: Form = lambda each: (each - found.mean) @ found.scaled_matrix.T  # noqa: E731
        forms[name] = found.apply if unit_length else folded

    add("centred", "energy", 0.0)
    for power in powers:
        add(f"centred, flattened {power:g}", "energy", power)
    add(f"… scatter at {powers[-1]:g}", "scatter", powers[-1])
    add(f"… not centred at {powers[-1]:g}", "energy", powers[-1], centre=False)
    add(f"… folded into a head at {powers[-1]:g}", "energy", powers[-1], unit_length=False)
    return forms


def _load_training(paths: Sequence[Path]) -> tuple[Vectors, NDArray[np.integer]]:
    tables = [load_vectors(path) for path in paths]
    names = [
        name for table, path in zip(tables, paths, strict=True) for name in require_speakers(table.ids, None, path)
    ]
    return np.concatenate([table.vectors for table in tables]), np.unique(names, return_inverse=True)[1]


def _load_list(trials: Path, vectors: Path) -> EmbeddedTrials:
    table = load_vectors(vectors)
    return EmbeddedTrials.of(read_trials(trials), table.ids, table.vectors)


def _rates(lists: Sequence[EmbeddedTrials], form: Form, widths: Sequence[int]) -> NDArray[np.float64]:
    """Return the EER (lists, widths) of transformed vectors."""
    rows = []
    for each in lists:
        scores = prefix_cosine_scores(form(each.embeddings.astype(np.float64)), each.enroll, each.test, widths)
        rows.append([equal_error_rate(column, each.is_target) for column in scores.T])
    return np.array(rows).reshape(len(lists), len(widths))


def _mean(ratios: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the geometric mean over lists, which is not a number without one."""
    return np.exp(np.log(ratios).mean(axis=0)) if len(ratios) else np.full(ratios.shape[1], np.nan)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", nargs="+", type=Path, required=True, help="vector files to fit on")
    parser.add_argument("--flatten", nargs="+", type=float, default=[0.1, 0.15, 0.2], help="powers to try")
    for place in ("inside", "outside"):
        metavar = "TRIALS", "VECTORS"
        parser.add_argument(f"--{place}", nargs=2, action="append", default=[], metavar=metavar)
    return parser.parse_args()


if __name__ == "__main__":
    main()

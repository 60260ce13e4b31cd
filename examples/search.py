"""Find the recordings most like one of them, among embeddings that `mrlspk embed` wrote.

mrlspk embed FOLDER --model MODEL -o embeddings.npz
python examples/search.py embeddings.npz ID --dim 64

A short list is made with the first values alone, which is cheap, then put in order with all of them.
"""

import argparse

import numpy as np
from numpy.typing import NDArray


def unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Bring each row of (n, width) to unit length."""
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def main() -> None:
    """Print the recordings most like the one asked for, best first, with their cosines at the full width."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("embeddings", help=".npz file that `mrlspk embed -o` wrote at the full width")
    parser.add_argument("id", help="recording to look for, as the file names it")
    parser.add_argument("--dim", type=int, default=64, help="values that make the short list")
    parser.add_argument("--shortlist", type=int, default=20, help="how many are put in order with all values")
    parser.add_argument("--show", type=int, default=5, help="how many are printed")
    arguments = parser.parse_args()

    with np.load(arguments.embeddings) as file:
        ids, embeddings = file["ids"], file["embeddings"]
    if arguments.id not in ids:
        parser.error(f"{arguments.id} is not in {arguments.embeddings}, which has {ids[0]} … {ids[-1]}")
    if not 0 < arguments.dim <= embeddings.shape[1]:
        parser.error(f"--dim {arguments.dim}: the embeddings have {embeddings.shape[1]} values")
    query = int(np.flatnonzero(ids == arguments.id)[0])

    narrow = unit(embeddings[:, : arguments.dim])  # what an index would hold
    nearest = np.argsort(-(narrow @ narrow[query]), kind="stable")
    shortlist = nearest[nearest != query][: arguments.shortlist]

    cosines = embeddings[shortlist] @ embeddings[query]
    for place in np.argsort(-cosines, kind="stable")[: arguments.show]:
        print(f"{cosines[place]:+.4f}  {ids[shortlist[place]]}")


if __name__ == "__main__":
    main()

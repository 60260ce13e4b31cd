"""Find the recordings most similar to a given one in a file that `mrlspk embed` wrote.

mrlspk embed FOLDER --model MODEL -o embeddings.npz
python examples/search.py embeddings.npz ID --dim 64

Draws a shortlist with the first values, which is cheap, and ranks it with all of them.
"""

import argparse

import numpy as np
from numpy.typing import NDArray


def unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Bring each row of (n, width) to unit length."""
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def main() -> None:
    """Print the most similar recordings, best first, with their cosines at full width."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("embeddings", help=".npz file that `mrlspk embed -o` wrote at the full width")
    parser.add_argument("id", help="id of the query recording in the file")
    parser.add_argument("--dim", type=int, default=64, help="values that draw the shortlist")
    parser.add_argument("--shortlist", type=int, default=20, help="how many are ranked with all values")
    parser.add_argument("--show", type=int, default=5, help="how many are printed")
    arguments = parser.parse_args()

    with np.load(arguments.embeddings) as file:
        ids, embeddings = file["ids"], file["embeddings"]
    if arguments.id not in ids:
        parser.error(f"{arguments.id} is not in {arguments.embeddings}, which has {ids[0]} … {ids[-1]}")
    if not 0 < arguments.dim <= embeddings.shape[1]:
        parser.error(f"--dim {arguments.dim}: the embeddings have {embeddings.shape[1]} values")
    query = int(np.flatnonzero(ids == arguments.id)[0])

    narrow = unit(embeddings[:, : arguments.dim])  # an index would store these
    nearest = np.argsort(-(narrow @ narrow[query]), kind="stable")
    shortlist = nearest[nearest != query][: arguments.shortlist]

    cosines = embeddings[shortlist] @ embeddings[query]
    for place in np.argsort(-cosines, kind="stable")[: arguments.show]:
        print(f"{cosines[place]:+.4f}  {ids[shortlist[place]]}")


if __name__ == "__main__":
    main()

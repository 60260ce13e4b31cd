"""Compare two recordings at every width of the model.

python examples/two_recordings.py MODEL FIRST SECOND
"""

import argparse

import mrlspk


def main() -> None:
    """Print the cosine of the two embeddings at every width; higher is more similar."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="checkpoint, or a name from `mrlspk pretrained list`")
    parser.add_argument("first", help="audio file")
    parser.add_argument("second", help="audio file")
    arguments = parser.parse_args()

    encoder = mrlspk.load(arguments.model)
    first, second = encoder.embed(arguments.first), encoder.embed(arguments.second)
    for dim in encoder.dims:
        print(f"{dim:4d} values: cosine {mrlspk.cosine(first, second, dim=dim):+.4f}")
    # The threshold for "same speaker" depends on the model, the width and the recordings: `mrlspk calibrate` fits it
    # on your own trials.


if __name__ == "__main__":
    main()

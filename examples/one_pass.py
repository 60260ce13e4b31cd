"""Show that a prefix of the full embedding, at unit length again, is the narrower embedding.

python examples/one_pass.py MODEL RECORDING
"""

import argparse

import numpy as np

import mrlspk


def main() -> None:
    """Embed once, cut the embedding at each width, and compare with the model's embedding at that width."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="checkpoint, or a name from `mrlspk pretrained list`")
    parser.add_argument("recording", help="audio file")
    arguments = parser.parse_args()

    encoder = mrlspk.load(arguments.model)
    full = encoder.embed(arguments.recording)
    for dim in encoder.dims:
        prefix = full[:dim] / np.linalg.norm(full[:dim])  # cut first, then bring to unit length
        asked = encoder.embed(arguments.recording, dim=dim)
        print(f"{dim:4d} values, {prefix.nbytes:5d} bytes: largest difference {np.abs(prefix - asked).max():.1e}")


if __name__ == "__main__":
    main()

"""Enrol a folder of speakers, and say who speaks in recordings.

python examples/identify.py MODEL INDEX SPEAKERS RECORDING...

INDEX is a new folder for the index; SPEAKERS holds one subfolder of recordings for each speaker. The decisions need 20
speakers with two recordings or more; with fewer, the example prints the nearest voices.
"""

import argparse

import mrlspk


def main() -> None:
    """Print the decision on each recording, and the nearest voice with its cosine."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="checkpoint, or a name from `mrlspk pretrained list`")
    parser.add_argument("index", help="new folder for the index")
    parser.add_argument("speakers", help="folder with a subfolder for each speaker")
    parser.add_argument("recordings", nargs="+", help="audio files")
    arguments = parser.parse_args()

    index = mrlspk.VoiceIndex.create(arguments.index, arguments.model)
    enrolled = index.add_folder(arguments.speakers)
    print(f"{len(enrolled.names)} voices, {enrolled.n_recordings} recordings")
    for remark in (*enrolled.refused, *enrolled.outliers):
        print(f"  {remark}")
    try:
        index.calibrate()
    except mrlspk.MrlspkError as error:
        print(f"no decisions: {error.what}")
    for found in index.identify_many(arguments.recordings):
        if found.error:
            print(f"{found.query.source}: {found.error.what}")
            continue
        answer, nearest = " ".join([found.decision or "no decision", *found.names]), found.candidates[0]
        print(f"{found.query.source}: {answer}, nearest {nearest.name} {nearest.score:+.4f}")


if __name__ == "__main__":
    main()

import struct

import numpy as np
import pytest

from mrlspk.data.audio.mp4_packets import find_offsets

SIZES = np.array([10, 20, 30, 40, 50, 60, 70, 80])


def box(form, rows, width):
    """Return a full box: version and flags, the number of entries, the entries."""
    return struct.pack(f">II{width * len(rows)}{form}", 0, len(rows), *np.ravel(rows).tolist())


@pytest.mark.parametrize(("name", "form"), [(b"stco", "I"), (b"co64", "Q")])
def test_packets_follow_each_other_within_their_chunks_alone(name, form):
    boxes = {name: box(form, [100, 500, 900], 1), b"stsc": box("I", [(1, 3, 1), (3, 2, 1)], 3)}
    assert find_offsets(boxes, SIZES).tolist() == [100, 110, 130, 500, 540, 590, 900, 970]


@pytest.mark.parametrize(
    "runs",
    [
        [(1, 3, 1)],  # nine packets
        [(2, 3, 1), (3, 2, 1)],  # none in the first chunk
        [(1, 3, 1), (3, 2, 2)],  # of another coding
        [(3, 2, 1), (1, 3, 1)],
        [],
    ],
)
def test_tables_that_do_not_fit_give_none(runs):
    boxes = {b"stco": box("I", [100, 500, 900], 1), b"stsc": box("I", runs, 3)}
    assert find_offsets(boxes, SIZES) is None
    assert find_offsets({b"stsc": boxes[b"stsc"]}, SIZES) is None

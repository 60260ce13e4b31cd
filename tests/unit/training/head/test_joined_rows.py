import numpy as np
import torch

from mrlspk.training.head.joined_rows import JoinedRows


class Rows:
    """Vectors of so many utterances, one value each, which says the part, the turn and the utterance."""

    n_features, dtype = 1, "float32"

    def __init__(self, part, n_utterances, n_turns):
        turns, utterances = np.divmod(np.arange(n_utterances * n_turns), n_utterances)
        self._values = torch.from_numpy(100 * part + 10 * turns + utterances).float()[:, None]
        self.n_rows = self.nbytes = len(self._values)

    def rows(self, indices):
        return self._values[torch.from_numpy(indices)]


def test_second_corpus_follows_the_first_in_each_turn():
    joined = JoinedRows((Rows(1, 3, 2), Rows(2, 2, 2)), (3, 2))
    assert (joined.n_rows, joined.n_features, joined.nbytes, joined.dtype) == (10, 1, 10, "float32")
    expected = [100, 101, 102, 200, 201, 110, 111, 112, 210, 211]
    assert joined.rows(np.arange(10)).flatten().tolist() == expected
    order = np.array([9, 0, 4, 7])
    assert joined.rows(order).flatten().tolist() == [expected[row] for row in order]


def test_rows_of_one_corpus_alone_are_found():
    joined = JoinedRows((Rows(1, 3, 1), Rows(2, 2, 1)), (3, 2))
    assert joined.rows(np.array([4, 3])).flatten().tolist() == [201, 200]

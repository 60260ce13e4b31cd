"""Batch size and epochs by the size of the corpus; expected values are counted by hand."""

from types import SimpleNamespace

import numpy as np
import pytest

from mrlspk.config import Config
from mrlspk.errors import ConfigError
from mrlspk.training.corpus_sizes import ENOUGH_STEPS, choose_sizes

NETWORK = {"freeze_backbone_epochs": 0}


def corpus_of(n_utterances):
    return SimpleNamespace(
        train=SimpleNamespace(
            classes_of=lambda n_passes: np.zeros(n_utterances * n_passes, np.int64), weights_of=lambda _: None
        )
    )


def sizes_of(n_utterances, *, n_processes=1, max_batches=None, data=None, **training):
    """Return batch and epochs that are chosen; an epoch of a head run has four crops of each utterance."""
    config = Config.model_validate({"training": training, "data": data or {}})
    chosen = choose_sizes(config, corpus_of(n_utterances), n_processes=n_processes, max_batches=max_batches).training
    return chosen.batch_size, chosen.num_epochs


@pytest.mark.parametrize(
    ("n_utterances", "sizes"),
    [
        (100, (200, 50)),  # two batches an epoch
        (1310, (512, 10)),  # ten batches of 512 in 5240 crops
        (3, (12, 50)),  # no more than there are
        (100_000, (512, 5)),
    ],
)
def test_batch_and_epochs_of_a_head_follow_the_corpus(n_utterances, sizes, caplog):
    assert sizes_of(n_utterances) == sizes
    assert caplog.text.count("steps are few") == (n_utterances == 3)


def test_batches_of_a_network_are_smaller_for_passes_take_long():
    assert sizes_of(2000, **NETWORK) == (100, 5)
    assert sizes_of(100, **NETWORK) == (32, 34)


def test_processes_share_an_epoch():
    assert sizes_of(100, n_processes=2) == (100, 50)


def test_batch_holds_whole_groups_of_a_speaker():
    balanced = {"sampler": "speaker_balanced", "utterances_per_speaker": 3, "crops_per_epoch": 1000}
    assert sizes_of(100, data=balanced, **NETWORK) == (48, 5)  # 50 less 2


def test_explicit_sizes_are_kept_and_few_steps_warned_of(caplog):
    assert sizes_of(100, batch_size=100, num_epochs=5) == (100, 5)
    assert "20 steps are few to train with (5 epochs of 4): 100 or more are advised" in caplog.text
    assert caplog.text.rstrip().endswith("training.num_epochs=25")  # 25 epochs of 4 steps are 100
    assert ENOUGH_STEPS == 100


def test_debug_run_is_not_warned_of_few_steps(caplog):
    sizes_of(100, max_batches=1, num_epochs=1)
    assert not caplog.text


@pytest.mark.parametrize(
    ("vectors", "what"), [((), "400 crops does not fill a batch of 512"), (("x.npz",), "400 vectors does not fill")]
)
def test_explicit_batch_larger_than_an_epoch_is_an_error(vectors, what):
    with pytest.raises(ConfigError, match=what):
        sizes_of(100, batch_size=512, data={"vectors": vectors})


def test_accumulated_batches_make_fewer_steps():
    assert sizes_of(3200, accumulation_steps=5) == (512, 20)  # 25 batches are 5 steps

"""``mrlspk features``: vectors that a head run then reads."""

import numpy as np
import pytest

from mrlspk.feature_store import pooling
from mrlspk.feature_store.store import open_store

pytestmark = pytest.mark.usefixtures("in_one_thread")

HEAD = "training.freeze_backbone_epochs=null", "head.centre=false", "head.flatten=0", "loss.margin_shares={4: 0.5}"


@pytest.fixture
def features(run, train, tiny_corpus, single_width):  # noqa: ARG001 - `train` writes the configuration
    """Store the vectors of the tiny corpus under ``stored``, with the configuration of the fixture ``head``."""

    def command(*settings, corpus=None):
        sets = [part for text in (*HEAD, *settings) for part in ("--set", text)]
        where = corpus or tiny_corpus.root, "-o", "stored"
        return run("features", *where, "--config", "tiny.yaml", "--init-from", single_width, *sets, "--json")

    return command


def test_head_run_computes_nothing_after_features(features, head, tmp_path, monkeypatch):
    outcome = features("training.refit=true")
    assert outcome.exit_code == 0, outcome.stderr
    stores = {each["path"]: open_store(tmp_path / each["path"]) for each in outcome.json["stores"]}
    assert outcome.json["path"] == "stored"
    assert outcome.json["rows"] == sum(each["rows"] for each in outcome.json["stores"])
    assert {each["kind"] for each in outcome.json["stores"]} == {"crops", "whole"}
    assert {path: store.n_rows for path, store in stores.items()} == {
        each["path"]: each["rows"] for each in outcome.json["stores"]
    }
    assert all(np.isfinite(store.rows(np.arange(store.n_rows)).numpy()).all() for store in stores.values())

    for source in (pooling.CropSource, pooling.UtteranceSource):
        monkeypatch.setattr(source, "vectors", _raise(AssertionError))
    places = "features.folder=stored", "training.refit=true", "training.num_epochs=1", "evaluation.n_resamples=0"
    assert head(*places, name="trained").exit_code == 0
    folders = {path.name for path in (tmp_path / "stored").iterdir() if not path.name.startswith(".")}
    assert folders == {path.rpartition("/")[2] for path in stores}


def test_stopped_features_go_on(features, monkeypatch):
    with monkeypatch.context() as patches:
        patches.setattr(pooling.CropSource, "vectors", _raise(KeyboardInterrupt))
        assert features().exit_code == 130
    monkeypatch.setattr(pooling.UtteranceSource, "vectors", _raise(AssertionError))  # these are whole
    assert features().exit_code == 0


def _raise(error):
    def call(*_, **__):
        raise error

    return call


def test_features_of_a_run_that_trains_the_backbone_are_a_usage_error(features):
    outcome = features("training.freeze_backbone_epochs=0")
    assert outcome.exit_code == 2
    assert "the configuration trains the backbone" in outcome.stderr

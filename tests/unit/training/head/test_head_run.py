"""A head run on a tiny network: its start is written once and read again, and it ends with a verdict."""

import math
from dataclasses import asdict, replace
from functools import partial

import pytest
import torch

from factories import tiny_config, write_tiny_model, write_voices
from mrlspk.distributed import ALONE
from mrlspk.errors import CheckpointError
from mrlspk.models.checkpoints import read_checkpoint
from mrlspk.training.fit import fit
from mrlspk.training.head import judges
from mrlspk.training.head.head_run import begin_head_run, conclude_head_run
from mrlspk.training.head.pooled_vectors import AudioStores
from mrlspk.training.validation import build_validation_trials, embed_pooled
from tiny_runs import prepared


class CountedStores(AudioStores):
    """Stores that count how often whole utterances of training speakers are asked for."""

    n_whole = 0

    def whole(self, *arguments, **options):
        CountedStores.n_whole += 1
        return super().whole(*arguments, **options)


@pytest.fixture
def begin(tiny_corpus, tmp_path, monkeypatch):
    """Return a head run that is begun, or resumed, in ``run``."""
    origin = write_tiny_model(tmp_path / "models" / "origin.pt", dims=(8,), seed=5)
    monkeypatch.setattr(CountedStores, "n_whole", 0)

    def begin_run(*, resume_path=None, corpus=tiny_corpus, n_held_out=2, **head):
        config = tiny_config(
            corpus,
            data={"n_validation_speakers": n_held_out},
            model={"pretrained": {"use_pretrained": True, "pretrained_checkpoint": str(origin)}, "backbone": None},
            training={"freeze_backbone_epochs": None, "num_epochs": 2},
            head={"rotation": "svd", "start_decay": 1.0, "centre": False, "flatten": 0.0} | head,
            features={"folder": str(tmp_path / "features")},
            evaluation={"n_resamples": 0},
        )
        state = prepared(config, tmp_path, resume_path=resume_path)
        state.plan.run_dir.mkdir(exist_ok=True)
        stores = CountedStores(config, state.module.encoder, None, ALONE)
        return begin_head_run(state, stores, build_validation_trials(config, state.plan.data), teacher=None)

    return begin_run


@pytest.fixture
def begin_divided(begin, tmp_path, monkeypatch):
    """Return a head run with six held-out speakers: two choose the epoch, and four judge."""
    monkeypatch.setattr(judges, "PART", 3)
    monkeypatch.setattr(judges, "FEWEST", 6)
    corpus = write_voices(tmp_path / "many", 10, files=("1",), seconds=0.4)
    return partial(begin, corpus=corpus, n_held_out=6)


def head_weight(path):
    return read_checkpoint(path)["model"]["head.linear.weight"]


@pytest.mark.parametrize("start", [{}, {"flatten": 0.3}, {"centre": True}], ids=["rotation", "flattened", "centred"])
def test_start_is_written_once_and_reread_on_resume(begin, start):
    run = begin(**start)
    fit(run)
    files = [path for name in ("rotation.pt", "start.pt") if (path := run.run_dir / name).exists()]
    assert len(files) == (2 if start else 1)
    before = [(path.read_bytes(), path.stat().st_mtime_ns) for path in files]
    resumed = begin(**start, resume_path=run.run_dir / "last.pt")
    assert [(path.read_bytes(), path.stat().st_mtime_ns) for path in files] == before
    assert CountedStores.n_whole == 1  # a resumed run fits no rotation
    assert dict(resumed.state.start).keys() == dict(run.state.start).keys()
    assert resumed.state.baselines == run.state.baselines
    assert resumed.full_width_limit == run.full_width_limit == run.state.baselines.rotation[8]


def test_every_checkpoint_has_the_entries_of_the_start(begin):
    run = begin(centre=True, flatten=0.3)
    fit(run)
    for name, start in (
        ("rotation", "rotation.pt"),
        ("start", "start.pt"),
        ("last", "start.pt"),
        ("trained", "start.pt"),
    ):
        contents = read_checkpoint(run.run_dir / f"{name}.pt")
        assert contents["start"] == start
        assert contents["baselines"] == asdict(run.state.baselines)
        assert contents["rotation"]["method"] == "svd"
        transform = {"centred": True, "flatten": 0.3, "order": "energy"} if name != "rotation" else None
        assert contents.get("transform") == transform
        assert contents["card"]["transform"] == transform


def test_training_speakers_choose_between_rotation_and_start(begin, tmp_path):
    corpus = write_voices(tmp_path / "voices", 8, files=("1", "2"), seconds=0.4)
    run = begin(corpus=corpus, centre=True)
    fit(run)
    found = read_checkpoint(run.run_dir / "start.pt")["closed_forms"]
    assert found["n_speakers"] == 6  # two of the eight are held out of the run
    assert all(math.isfinite(found[name]) for name in ("rotation_mean_log_eer", "start_mean_log_eer"))
    resumed = begin(corpus=corpus, centre=True, resume_path=run.run_dir / "last.pt")
    assert asdict(conclude_head_run(resumed).closed_forms) == found
    assert read_checkpoint(run.run_dir / "rotation.pt").get("closed_forms") is None


def test_rotation_keeps_the_cosines_at_full_width(begin, tmp_path):
    run = begin()
    own, rotated = (head_weight(path) for path in (tmp_path / "models" / "origin.pt", run.run_dir / "rotation.pt"))
    grams = [weight.double().T @ weight.double() for weight in (own, rotated)]
    assert torch.allclose(*grams, atol=1e-6)
    assert not torch.allclose(own, rotated, atol=1e-3)


def test_resumed_head_run_matches_uninterrupted_run(begin):
    whole = begin()
    fit(whole)
    expected = {name: values.clone() for name, values in whole.state.module.state_dict().items()}
    first = read_checkpoint(whole.run_dir / "epoch-001.pt")
    (whole.run_dir / "last.pt").unlink()
    torch.save(first, whole.run_dir / "last.pt")
    resumed = begin(resume_path=whole.run_dir / "last.pt")
    assert resumed.state.progress.epoch == 1
    fit(resumed)
    assert all(torch.equal(values, expected[name]) for name, values in resumed.state.module.state_dict().items())


def test_resume_without_the_start_is_refused(begin):
    run = begin()
    fit(run)
    (run.run_dir / "rotation.pt").unlink()
    with pytest.raises(CheckpointError, match="the start of the run is gone"):
        begin(resume_path=run.run_dir / "last.pt")


@pytest.mark.parametrize("kept", ["trained", "start", "rotation"])
def test_conclusion_copies_the_kept_head_to_best(begin, monkeypatch, kept):
    run = begin(centre=True)
    fit(run)
    from mrlspk.training.head import head_run

    reach = head_run.reach_verdict
    monkeypatch.setattr(head_run, "reach_verdict", lambda *args, **options: replace(reach(*args, **options), kept=kept))
    verdict = conclude_head_run(run)
    assert verdict.kept == kept
    best = read_checkpoint(run.run_dir / "best.pt")
    assert torch.equal(best["model"]["head.linear.weight"], head_weight(run.run_dir / f"{kept}.pt"))
    assert best["verdict"]["kept"] == kept
    assert math.isfinite(best["verdict"]["rotation_mean_log_eer"])


def test_untrained_head_run_concludes_with_the_rotation(begin):
    run = begin(trained="none", start_decay=0)
    assert conclude_head_run(run) is None
    best = read_checkpoint(run.run_dir / "best.pt")
    assert torch.equal(best["model"]["head.linear.weight"], head_weight(run.run_dir / "rotation.pt"))
    assert "verdict" not in best


def test_best_checkpoint_has_the_metrics_of_speakers_that_chose_nothing(begin_divided):
    run = begin_divided(centre=True)
    fit(run)
    verdict = conclude_head_run(run)
    best, trained = (read_checkpoint(run.run_dir / name) for name in ("best.pt", "trained.pt"))
    choosing, judging = run.validator.trials, run.validator.judging
    assert (len(choosing.speakers), len(judging.speakers), verdict.n_speakers) == (2, 4, 4)
    assert tuple(best["judges"]) == judging.speakers
    assert not verdict.judges_chose_epoch
    embeddings = embed_pooled(run.state.module.current_encoder(), run.validator.pooled).numpy()
    assert trained["validation"]["eer"].keys() == best["validation"]["eer"].keys()
    assert trained["validation"]["eer"] == choosing.result(embeddings).eer  # the last epoch is the best
    assert best["validation"]["eer"] == {row.dim: row.eer[verdict.kept] for row in verdict.domains[0].widths}
    card = best["card"]
    assert (card["trials"]["n_target"], card["trials"]["n_nontarget"]) == (
        judging.trials.n_target,
        judging.trials.n_nontarget,
    )
    assert {row["dim"]: row["eer"] for row in card["results"]} == {
        8: best["validation"]["eer"][8],
        4: best["validation"]["eer"][4],
    }


def test_start_is_chosen_and_measured_without_the_speakers_that_judge(begin_divided):
    run = begin_divided()
    choosing, judging = run.validator.trials, run.validator.judging
    embeddings = embed_pooled(run.state.module.current_encoder(), run.validator.pooled).numpy()
    written, baselines = read_checkpoint(run.run_dir / "rotation.pt")["validation"], run.state.baselines
    expected, others = choosing.result(embeddings), judging.result(embeddings)
    assert baselines.rotation == written["eer"] == expected.eer != others.eer
    assert baselines.rotation_mean_log_eer == written["mean_log_eer"] == expected.mean_log_eer != others.mean_log_eer


def test_resumed_run_keeps_its_judges(begin_divided):
    run = begin_divided()
    fit(run)
    resumed = begin_divided(resume_path=run.run_dir / "last.pt")
    assert resumed.validator.judging.speakers == run.validator.judging.speakers
    contents = read_checkpoint(run.run_dir / "last.pt")
    del contents["judges"]  # as in a run of an earlier version, whose speakers all chose the epoch
    torch.save(contents, run.run_dir / "last.pt")
    older = begin_divided(resume_path=run.run_dir / "last.pt")
    assert older.validator.judging is older.validator.trials
    assert len(older.validator.trials.speakers) == 6


def test_start_is_a_candidate_beside_rotation_and_trained_head(begin):
    run = begin(centre=True)
    fit(run)
    verdict = conclude_head_run(run)
    assert verdict.start_mean_log_eer == pytest.approx(
        read_checkpoint(run.run_dir / "start.pt")["validation"]["mean_log_eer"]
    )
    files = {"rotation": "rotation.pt", "start": "start.pt", "trained": "trained.pt"}
    best = head_weight(run.run_dir / "best.pt")
    assert torch.equal(best, head_weight(run.run_dir / files[verdict.kept]))

import pytest

from mrlspk.config.data import DataConfig
from mrlspk.data.build import build_sampler, build_train_loader, build_training_data, check_disjoint
from mrlspk.data.crops.sampler import RankBatches, ShuffleSampler, SpeakerBalancedSampler
from mrlspk.data.trials import read_trials
from mrlspk.data.utterance_ids import speaker_of
from mrlspk.errors import ConfigError, DataError
from tiny_corpora import write_speakers


@pytest.fixture
def config(tmp_path):
    root = write_speakers(tmp_path / "train", [f"s{number}" for number in range(8)])
    write_speakers(root, ["single"], n_utterances=1)
    return DataConfig(train_dataset=root, val_dataset=None, n_validation_speakers=3, chunk_duration=0.2, num_workers=0)


def changed(config, **values):
    return DataConfig.model_validate({**config.model_dump(), **values})


def test_speakers_of_training_validation_and_trials_do_not_meet(config):
    data = build_training_data(config, seed=0)
    assert len(data.validation.speakers) == 3
    assert not set(data.train.speakers) & set(data.validation.speakers)
    assert len(data.train.speakers) == 6
    trials = data.validation_trials
    assert {speaker_of(id_) for id_ in trials.utterance_ids} <= set(data.validation.speakers)
    assert "single" in data.train.speakers


def test_held_out_speakers_are_a_function_of_the_seed(config):
    held_out = [build_training_data(config, seed=seed).validation.speakers for seed in (0, 0, 1, 2, 3)]
    assert held_out[0] == held_out[1]
    assert len(set(held_out)) > 1


def test_validation_corpus_of_its_own(config, tmp_path):
    root = write_speakers(tmp_path / "val", ["v1", "v2", "v3", "v4"])
    data = build_training_data(changed(config, val_dataset=root), seed=0)
    assert len(data.train.speakers) == 9
    assert len(data.validation.speakers) == 3
    assert data.validation.root == root


def test_nontarget_validation_speakers_share_the_wanted_metadata(config, tmp_path):
    root = write_speakers(tmp_path / "val", ["v1", "v2", "v3", "v4"])
    table = tmp_path / "speakers.csv"
    table.write_text("speaker,language\nv1,en\nv2,en\nv3,ar\nv4,ar\n")
    options = {"val_dataset": root, "n_validation_speakers": 4}
    matched = {"validation_match": "language", "validation_metadata": table}
    free, within = (build_training_data(changed(config, **options, **more), seed=0) for more in ({}, matched))

    def pairs(data):
        trials = data.validation_trials
        sides = (map(speaker_of, side) for side in (trials.enroll_ids, trials.test_ids))
        return {tuple(sorted(pair)) for pair in zip(*sides, strict=True) if len(set(pair)) == 2}

    assert pairs(within) == {("v1", "v2"), ("v3", "v4")}
    assert len(pairs(free)) > 2


@pytest.mark.parametrize("given", [{"validation_match": "language"}, {"validation_metadata": "speakers.csv"}])
def test_column_and_table_of_matched_trials_go_together(config, given):
    with pytest.raises(ValueError, match="go together"):
        changed(config, **given)


def test_validation_speaker_who_is_trained_on_is_an_error(config, tmp_path):
    root = write_speakers(tmp_path / "val", ["s1", "v2"])
    with pytest.raises(DataError, match="got 1 of the same: s1"):
        build_training_data(changed(config, val_dataset=root), seed=0)


def test_each_of_several_corpora_is_a_domain_with_its_own_speakers(config, tmp_path):
    others = write_speakers(tmp_path / "others", [f"s{number}" for number in range(6)])
    first = tmp_path.name  # a folder called train is named as the one that it is in
    entries = [{"path": config.train_dataset}, {"path": others}]
    data = build_training_data(changed(config, train_dataset=entries, n_validation_speakers=7), seed=0)
    held_out = data.validation.speakers
    own, name = (sorted(each for each in held_out if each.startswith(f"{label}/")) for label in (first, "others"))
    assert (len(own), len(name), len(data.train.speakers)) == (4, 3, 15 - 7)
    assert data.domains == dict.fromkeys(own, first) | dict.fromkeys(name, "others") | data.domains
    trials = data.validation_trials
    sides = zip(trials.enroll_ids, trials.test_ids, strict=True)
    assert all(one.partition("/")[0] == other.partition("/")[0] for one, other in sides)
    assert {trials.speaker_of(each) for each in trials.utterance_ids} == set(held_out)
    assert data.names_among(["s1/session/0.wav"]) == {*(f"s{number}" for number in range(8)), "single"}


def test_validation_corpus_must_not_share_speakers_with_any_of_several(config, tmp_path):
    others, root = write_speakers(tmp_path / "others", ["a", "b"]), write_speakers(tmp_path / "val", ["b", "v2"])
    overlapping = changed(config, train_dataset=[config.train_dataset, others], val_dataset=root)
    with pytest.raises(DataError, match=r"data.val_dataset: .* got 1 of the same: b"):
        build_training_data(overlapping, seed=0)
    link = others.with_name("link")
    link.symlink_to(others)
    twice = changed(config, train_dataset=[others, config.train_dataset, {"path": link, "weight": 2}])
    with pytest.raises(DataError, match=r"train_dataset\[2\].path: .*link: .* that of data.train_dataset\[0\] again"):
        build_training_data(twice, seed=0)
    misspelt = changed(config, train_dataset=[others, {"path": root, "corpus": "{spaeker}/*"}])
    with pytest.raises(ConfigError, match=r"data.train_dataset\[1\].corpus: expected the fields speaker, session"):
        build_training_data(misspelt, seed=0)
    absent = changed(config, train_dataset=[others, tmp_path / "gone"])
    with pytest.raises(DataError, match=r"data.train_dataset\[1\].path: .*gone: no such folder"):
        build_training_data(absent, seed=0)


def test_trial_list_with_training_speakers_is_an_error(tmp_path):
    (tmp_path / "trials.txt").write_text("1 x/1.wav x/2.wav\n0 x/1.wav s7/1.wav\n")
    trials = read_trials(tmp_path / "trials.txt")
    check_disjoint(["s1"], trials.speakers, where=trials.path)
    with pytest.raises(DataError, match=r"trials.txt.*got 1 of the same: s7"):
        check_disjoint(["s1", "s7"], trials.speakers, where=trials.path)


@pytest.mark.parametrize(("n_speakers", "why"), [(8, "training needs two others"), (100, "only 8 have two utterances")])
def test_holding_out_too_many_speakers_is_an_error(config, n_speakers, why):
    with pytest.raises(DataError, match=f"cannot hold out {n_speakers} of .* speakers: {why}") as caught:
        build_training_data(changed(config, n_validation_speakers=n_speakers), seed=0)
    assert "n_validation_speakers" in caught.value.fix


def test_real_corpus_splits_without_overlap(shared):
    config = DataConfig(train_dataset=shared / "speech/train", val_dataset=None)  # 231 speakers with two utterances
    data = build_training_data(config, seed=42)
    assert (len(data.train.speakers), len(data.validation.speakers)) == (222, 46)
    assert data.validation_trials.n_nontarget == 5000
    for name in ("english", "crosslingual", "short"):
        trials = read_trials(shared / f"speech/trials-{name}.txt")
        check_disjoint({*data.train.speakers, *data.validation.speakers}, trials.speakers, where=trials.path)


def test_sampler_and_classes_follow_the_configuration(config):
    data = build_training_data(config, seed=0)
    sampler = build_sampler(data.train.classes, config, seed=0)
    assert isinstance(sampler, ShuffleSampler)
    assert (len(sampler), data.train.n_classes) == (16, 6)
    balanced = changed(
        config, sampler="speaker_balanced", utterances_per_speaker=2, crops_per_epoch=10, speed_perturbation=(0.9,)
    )
    data = build_training_data(balanced, seed=0)
    sampler = build_sampler(data.train.classes, balanced, seed=0)
    assert isinstance(sampler, SpeakerBalancedSampler)
    assert (len(sampler), data.train.n_classes) == (10, 12)


def test_corpus_is_what_is_trained_on(config):
    data = build_training_data(config, seed=0)
    assert data.corpus.speakers == data.train.speakers
    assert [utterance.utterance_id for utterance in data.corpus.utterances] == data.train.utterance_ids


def test_classes_repeat_with_each_pass_over_the_corpus(config):
    train = build_training_data(changed(config, speed_perturbation=(0.9,)), seed=0).train
    assert len(train) == 32
    assert train.classes.tolist() == [*train.classes[:16], *(train.classes[:16] + 6)]
    assert train.classes_of(3).tolist() == train.classes.tolist() * 3


def test_loader_gives_batches_of_crops_and_classes(config):
    data = build_training_data(config, seed=0)
    sampler = build_sampler(data.train.classes, config, seed=0)
    loader = build_train_loader(data, RankBatches(sampler, batch_size=6), config)
    assert [tuple(waveforms.shape) for waveforms, _ in loader] == [(6, 3_200), (6, 3_200)]
    assert len(loader) == 2


def test_names_unfit_for_validation_trials_are_refused(config):
    write_speakers(config.train_dataset, ["two words"])
    with pytest.raises(DataError, match=r"two words/session/0\.wav: its path holds white space"):
        build_training_data(config, seed=0)

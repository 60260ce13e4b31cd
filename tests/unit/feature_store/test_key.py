import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from factories import TINY2, tiny_encoder
from mrlspk.data.audio.source import ChannelSource
from mrlspk.data.augmentation.categories import choose_by_shares
from mrlspk.data.augmentation.noise import GaussianNoise, RecordedNoise
from mrlspk.data.augmentation.recordings import FolderRecordings
from mrlspk.data.augmentation.rooms import RoomResponse
from mrlspk.data.augmentation.steps import Augmentation
from mrlspk.data.augmentation.volume import Volume
from mrlspk.data.corpora.recipe_registry import scan_corpus
from mrlspk.data.crops.dataset import CropDataset
from mrlspk.errors import DataError
from mrlspk.feature_store import shards
from mrlspk.feature_store.key import crops_key, read_key, store_name, utterances_key, write_key
from mrlspk.models.external_encoder import ExternalEncoder, identity_head
from mrlspk.models.head import MatryoshkaHead

CROPS = {"crops_per_item": 2, "dtype": "float16", "batch_size": 4, "precision": "fp32"}
WHOLE = {"dtype": "float16", "batch_size": 4, "precision": "fp32", "max_seconds": 60.0, "crop_seconds": None}


def write_audio(path, n_samples=100):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.zeros(n_samples), 16_000)


@pytest.fixture
def corpus(tmp_path):
    for name in ("a/1/1.wav", "a/1/2.wav", "b/1/1.wav"):
        write_audio(tmp_path / "corpus" / name)
    return scan_corpus(tmp_path / "corpus")


@pytest.fixture
def recordings(tmp_path):
    paths = tuple(tmp_path / "noise" / name for name in ("free/1.wav", "free/2.wav"))
    for path in paths:
        write_audio(path)
    return paths


def recorded(paths, *, noise_share=1.0):
    """Return the step of noise recordings in the folder ``noise`` or ``moved``."""
    folder = paths[0].parents[1]
    recordings = FolderRecordings(folder, [path.relative_to(folder).as_posix() for path in paths])
    choice = choose_by_shares(
        [f"{'noise' if number else 'music'}/{number}" for number in range(len(paths))],
        lambda name: name.partition("/")[0],
        {"noise": noise_share, "music": 1.0},
    )
    return RecordedNoise(recordings, choice, 0.5, {"noise": (5.0, 20.0), "music": (5.0, 20.0)}, (3, 7))


def room(paths):
    recordings = recorded(paths[:1]).recordings
    return RoomResponse(recordings, choose_by_shares(recordings.names, lambda _name: "real", None), 0.5)


@pytest.fixture
def augmentation(recordings):
    return Augmentation(
        (
            room(recordings),
            recorded(recordings),
            GaussianNoise(0.5, (10.0, 30.0)),
            Volume(0.5, (-6.0, 6.0)),
        )
    )


@pytest.fixture
def dataset(corpus, augmentation):
    return build_dataset(corpus, augmentation)


def build_dataset(corpus, augmentation, **changed):
    options = {"crop_seconds": 0.2, "seed": 0, "speeds": (1.0, 0.9)} | changed
    return CropDataset(corpus, augmentation=augmentation, **options)


def test_key_is_plain_and_holds_the_shape(dataset, tmp_path):
    encoder = tiny_encoder((4, 8))
    key = crops_key(encoder, dataset, **CROPS)
    folder = tmp_path / store_name(key)
    write_key(folder, key)
    assert read_key(folder) == key
    kind, _, digits = folder.name.partition("-")
    assert (kind, len(bytes.fromhex(digits))) == ("crops", 8)
    assert (key["n_rows"], key["n_features"]) == (
        12,
        encoder.head.linear.in_features,
    )  # 3 utterances, 2 speeds, 2 crops


@pytest.mark.parametrize(
    "change",
    [{"crops_per_item": 3}, {"dtype": "float32"}, {"batch_size": 5}, {"precision": "bf16"}],
    ids=lambda change: next(iter(change)),
)
def test_each_argument_changes_the_key(dataset, change):
    encoder = tiny_encoder((4, 8))
    assert crops_key(encoder, dataset, **CROPS | change) != crops_key(encoder, dataset, **CROPS)


@pytest.mark.parametrize(
    "change",
    [
        {"crop_seconds": 0.3},
        {"seed": 1},
        {"speeds": (1.0,)},
        {"speeds": (1.0, 1.1)},
        {"speeds": (0.9, 1.0)},
        {"sample_rate": 8000, "crop_seconds": 0.4},  # of as many samples
    ],
    ids=str,
)
def test_each_setting_of_the_dataset_changes_the_key(corpus, augmentation, dataset, change):
    encoder, changed = tiny_encoder((4, 8)), build_dataset(corpus, augmentation, **change)
    assert crops_key(encoder, changed, **CROPS) != crops_key(encoder, dataset, **CROPS)


@pytest.mark.parametrize(
    ("place", "change"),
    [
        *((place, {"probability": 0.4}) for place in range(4)),
        (2, {"snr_range": (10.0, 31.0)}),
        (2, {"snr_range": (11.0, 30.0)}),
        (1, {"snr_ranges": {"noise": (5.0, 20.0), "music": (5.0, 21.0)}}),
        (1, {"snr_ranges": {"noise": (5.0, 20.0), "music": (6.0, 20.0)}}),
        (1, {"talkers": (3, 8)}),
        (3, {"gain_range": (-6.0, 7.0)}),
    ],
    ids=str,
)
def test_each_setting_of_the_augmentation_changes_the_key(corpus, augmentation, dataset, place, change):
    steps = list(augmentation.steps)
    steps[place] = replace(steps[place], **change)
    changed = build_dataset(corpus, Augmentation(tuple(steps)))
    assert crops_key(tiny_encoder((4, 8)), changed, **CROPS) != crops_key(tiny_encoder((4, 8)), dataset, **CROPS)


def test_channel_changes_the_key(corpus):
    def key_of(source_of):
        utterances = [replace(each, source=source_of(each.source)) for each in corpus.utterances]
        return store_name(utterances_key(encoder, utterances, **WHOLE))

    encoder = tiny_encoder((4, 8))
    sources = (lambda whole: whole, lambda whole: ChannelSource(whole, 0), lambda whole: ChannelSource(whole, 1))
    assert len({key_of(each) for each in sources}) == 3


def test_augmentation_steps_and_their_order_change_the_key(corpus, augmentation):
    steps = augmentation.steps
    some = [None, Augmentation(steps), Augmentation(steps[::-1]), Augmentation(steps[1:]), Augmentation(steps[:3])]
    names = {store_name(crops_key(tiny_encoder((4, 8)), build_dataset(corpus, each), **CROPS)) for each in some}
    assert len(names) == len(some)


def test_listing_of_recordings_changes_the_key_their_folder_not(corpus, augmentation, dataset, recordings, tmp_path):
    before = crops_key(tiny_encoder((4, 8)), dataset, **CROPS)
    (tmp_path / "noise").rename(tmp_path / "moved")
    moved = tuple(tmp_path / "moved" / path.relative_to(tmp_path / "noise") for path in recordings)

    def key_of(noises, **options):
        steps = (room(moved), recorded(noises, **options), *augmentation.steps[2:])
        return crops_key(tiny_encoder((4, 8)), build_dataset(corpus, Augmentation(steps)), **CROPS)

    assert key_of(moved) == before
    assert key_of(moved[:1]) != before
    assert key_of(moved[::-1]) != before
    assert key_of(moved, noise_share=2.0) != before
    renamed = moved[1].rename(moved[1].with_name("3.wav"))
    assert key_of((moved[0], renamed)) != before
    renamed.rename(moved[1])
    write_audio(moved[1], 101)
    assert key_of(moved) != before


def test_listing_of_utterances_changes_the_key_their_folder_not(corpus, augmentation, dataset):
    before, root = crops_key(tiny_encoder((4, 8)), dataset, **CROPS), corpus.root

    def key_of(root):
        return crops_key(tiny_encoder((4, 8)), build_dataset(scan_corpus(root), augmentation), **CROPS)

    moved = root.rename(root.with_name("moved"))
    assert key_of(moved) == before
    write_audio(moved / "a/1/1.wav", 101)
    assert key_of(moved) != before
    write_audio(moved / "a/1/1.wav")
    assert key_of(moved) == before
    (moved / "a/1/2.wav").rename(moved / "a/1/3.wav")
    assert key_of(moved) != before


def test_backbone_changes_the_key_and_the_head_does_not(dataset):
    encoder = tiny_encoder((4, 8))
    before = crops_key(encoder, dataset, **CROPS)
    for name, values in encoder.state_dict().items():
        kept = values.clone()
        values.view(-1)[-1] += 1
        changes = crops_key(encoder, dataset, **CROPS) != before
        assert changes is not name.startswith("head."), name
        values.copy_(kept)
    other = MatryoshkaHead(encoder.head.linear.in_features, 6, output_norm=True)
    assert crops_key(encoder.with_head(other, (2, 6)), dataset, **CROPS) == before
    assert crops_key(copy.deepcopy(encoder).eval(), dataset, **CROPS) == before


@pytest.mark.parametrize("change", [{"pad_right_samples": 100}, {"before_pool_offset": 1}], ids=str)
def test_padding_and_skipped_frames_change_the_key(dataset, change):
    plain, changed = (tiny_encoder((4, 8), backbone=TINY2.model_copy(update=each)) for each in ({}, change))
    assert crops_key(changed, dataset, **CROPS) != crops_key(plain, dataset, **CROPS)


def test_device_and_build_of_torch_do_not_change_the_key(dataset, monkeypatch):
    encoder = tiny_encoder((4, 8))
    before = crops_key(encoder, dataset, **CROPS)
    encoder.head.to("meta")  # another device, of what is not hashed
    assert crops_key(encoder, dataset, **CROPS) == before
    for build_of_torch in ("+cpu", "+cu130", ""):
        monkeypatch.setattr(torch, "__version__", torch.__version__.partition("+")[0] + build_of_torch)
        assert crops_key(encoder, dataset, **CROPS) == before
    monkeypatch.setattr(torch, "__version__", "1.0.0")
    assert crops_key(encoder, dataset, **CROPS) != before


def test_base_model_and_its_runtime_change_the_key_its_head_not(dataset):
    def name(head=None, fingerprint="base", runtime="1.20"):
        encoder = ExternalEncoder(head or identity_head(6), (6,), base_fingerprint=fingerprint)
        encoder.attach(lambda waveforms: waveforms, min_samples=1, runtime={"onnxruntime": runtime})
        return store_name(crops_key(encoder, dataset, **CROPS))

    assert name() == name(head=MatryoshkaHead(6, 3))
    assert len({name(), name(fingerprint="other"), name(runtime="1.21")}) == 3


def test_size_of_shards_changes_the_key(dataset, monkeypatch):
    before = crops_key(tiny_encoder((4, 8)), dataset, **CROPS)
    monkeypatch.setattr(shards, "FEWEST_ROWS", shards.FEWEST_ROWS // 2)
    assert crops_key(tiny_encoder((4, 8)), dataset, **CROPS) != before


@pytest.mark.parametrize(
    "change",
    [{"dtype": "float32"}, {"batch_size": 5}, {"precision": "bf16"}, {"max_seconds": 30.0}, {"crop_seconds": 2.0}],
    ids=lambda change: next(iter(change)),
)
def test_each_setting_of_utterances_changes_the_key(corpus, change):
    utterances = corpus.utterances
    key = utterances_key(tiny_encoder((4, 8)), utterances, **WHOLE)
    assert store_name(key).startswith("whole-")
    assert utterances_key(tiny_encoder((4, 8)), utterances, **WHOLE | change) != key
    assert utterances_key(tiny_encoder((4, 8), seed=1), utterances, **WHOLE) != key
    assert utterances_key(tiny_encoder((4, 8)), utterances[:2], **WHOLE) != key
    assert utterances_key(tiny_encoder((4, 8)), utterances[::-1], **WHOLE) != key


def test_missing_utterance_is_named(corpus, dataset):
    path = Path(corpus.root, "b/1/1.wav")
    path.unlink()
    for make in (
        lambda: utterances_key(tiny_encoder((4, 8)), corpus.utterances, **WHOLE),
        lambda: crops_key(tiny_encoder((4, 8)), dataset, **CROPS),
    ):
        with pytest.raises(DataError, match="cannot be read") as caught:
            make()
        assert caught.value.where == str(path)

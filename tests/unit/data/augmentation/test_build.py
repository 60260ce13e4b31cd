import os

import numpy as np
import pytest

from mrlspk.config.data import DataConfig
from mrlspk.data.augmentation.build import build_augmentation
from mrlspk.data.augmentation.codecs import CodecStep
from mrlspk.data.augmentation.noise import GaussianNoise, RecordedNoise
from mrlspk.data.augmentation.rooms import RoomResponse
from mrlspk.data.augmentation.telephone import TelephoneBand
from mrlspk.data.augmentation.volume import Volume
from mrlspk.errors import DataError
from noise_recordings import MUSAN, noise, write_tree

RIRS_NOISES = (
    "simulated_rirs/smallroom/Room001/Room001-00001.wav",
    "simulated_rirs/smallroom/Room001/Room001-00002.wav",
    "real_rirs_isotropic_noises/RVB2014_type1_rir_smallroom1_near_angla.wav",
    "real_rirs_isotropic_noises/RVB2014_type1_noise_smallroom1_1.wav",
    "pointsource_noises/noise-free-sound-0000.wav",
)


def tree(root, paths):
    return write_tree(root, {path: noise(100).numpy() for path in paths})


def test_augmentation_has_the_configured_steps_in_physical_order(tmp_path):
    assert build_augmentation(DataConfig(augmentation=False)) is None
    assert [type(step) for step in build_augmentation(DataConfig()).steps] == [GaussianNoise, Volume]
    folder = tree(tmp_path / "noise", ["1.wav"])
    full = DataConfig(musan_dataset=folder, rir_dataset=folder, telephone_probability=0.1, codec_probability=0.1)
    steps = [type(step) for step in build_augmentation(full).steps]
    assert steps == [RoomResponse, RecordedNoise, GaussianNoise, Volume, TelephoneBand, CodecStep]


def test_name_that_is_not_utf8_is_an_error(tmp_path):
    folder = tree(tmp_path / "noise", ["1.wav"])
    (folder / "1.wav").rename(folder / os.fsdecode(b"caf\xe9.wav"))
    with pytest.raises(DataError, match=r"noise/caf\\xe9.wav: its name is not UTF-8"):
        build_augmentation(DataConfig(musan_dataset=folder))


def test_musan_is_drawn_from_all_categories_each_with_its_ratio(tmp_path):
    musan = tree(tmp_path / "musan", MUSAN)
    step = build_augmentation(DataConfig(musan_dataset=musan, musan_snr_ranges={"music": (1.0, 2.0)})).steps[0]
    assert step.choice.categories == ("music", "noise", "speech")
    assert step.choice.shares == pytest.approx((1 / 3, 1 / 3, 1 / 3))
    assert step.snr_ranges == {"noise": (0.0, 15.0), "music": (1.0, 2.0), "speech": (13.0, 20.0)}
    step = build_augmentation(DataConfig(musan_dataset=musan, musan_snr_range=(5.0, 20.0))).steps[0]
    assert {*step.snr_ranges.values()} == {(5.0, 20.0)}


def test_categories_without_recordings_leave_their_share_to_the_others(tmp_path):
    step = build_augmentation(DataConfig(musan_dataset=tree(tmp_path / "noises", ["1.wav", "2.wav"]))).steps[0]
    assert (step.choice.categories, step.choice.shares) == (("noise",), (1.0,))


def test_rooms_are_all_alike_or_drawn_by_kind_and_noises_are_left_out(tmp_path):
    rirs = tree(tmp_path / "RIRS_NOISES", RIRS_NOISES)
    alike, by_kind = (
        build_augmentation(DataConfig(rir_dataset=rirs, **more)).steps[0].choice
        for more in ({}, {"rir_shares": {"simulated": 1.0, "real": 1.0}})
    )
    assert alike.categories == by_kind.categories == ("real", "simulated")
    assert alike.shares == pytest.approx((1 / 3, 2 / 3))
    assert by_kind.shares == (0.5, 0.5)
    assert sum(map(len, alike.members)) == 3


def test_absent_empty_and_unused_recordings_are_errors_that_name_the_key(tmp_path):
    with pytest.raises(DataError, match="no such folder"):
        build_augmentation(DataConfig(musan_dataset=tmp_path / "absent"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="got no audio at all"):
        build_augmentation(DataConfig(rir_dataset=tmp_path / "empty"))
    musan = tree(tmp_path / "musan", MUSAN[:1])
    with pytest.raises(DataError, match=r"data\.musan_shares"):
        build_augmentation(DataConfig(musan_dataset=musan, musan_shares={"noise": 0.0}))


def test_unknown_categories_and_falling_talkers_are_refused():
    with pytest.raises(ValueError, match="'noise', 'music' or 'speech'"):
        DataConfig(musan_shares={"babble": 1.0})
    with pytest.raises(ValueError, match=r"\[low, high\]"):
        DataConfig(musan_talkers=(7, 3))


def test_draws_do_not_depend_on_where_they_are_applied(tmp_path):
    augmentation = build_augmentation(DataConfig(musan_dataset=tree(tmp_path / "musan", MUSAN)))
    first, second = (augmentation.draw(200, np.random.default_rng(5)) for _ in range(2))
    assert first.gain == second.gain
    assert (first.noise is None) is (second.noise is None)
    assert first.noise is None or np.array_equal(first.noise, second.noise)

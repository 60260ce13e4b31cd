"""Build the augmentation of a configuration."""

import logging
from pathlib import Path

from mrlspk.config.data import DataConfig
from mrlspk.data.augmentation.categories import Choice, choose_by_shares, musan_category, room_category
from mrlspk.data.augmentation.codecs import CodecStep
from mrlspk.data.augmentation.feature_masks import FeatureMasks
from mrlspk.data.augmentation.noise import GaussianNoise, RecordedNoise
from mrlspk.data.augmentation.packed import PackedRecordings
from mrlspk.data.augmentation.recordings import FolderRecordings, Recordings
from mrlspk.data.augmentation.rooms import RoomResponse
from mrlspk.data.augmentation.steps import Augmentation, AugmentationStep
from mrlspk.data.augmentation.telephone import TelephoneBand
from mrlspk.data.augmentation.volume import Volume
from mrlspk.data.corpora.walk import list_audio
from mrlspk.data.utterance_ids import NOT_UTF8, RENAME, is_utf8, printable
from mrlspk.errors import DataError
from mrlspk.reading import is_file

log = logging.getLogger("mrlspk.data")


def build_augmentation(config: DataConfig) -> Augmentation | None:
    """Return the steps in physical order: room, noise recordings, white noise, volume, telephone band, codec.

    Raises:
        DataError: If a folder or packed file of noise or room responses is absent, empty or damaged.
    """
    if not config.augmentation:
        return None
    steps: list[AugmentationStep] = []
    if config.rir_dataset and config.rir_probability:
        steps.append(_rooms(config, config.rir_dataset))
    if config.musan_dataset and config.musan_probability:
        steps.append(_recorded_noise(config, config.musan_dataset))
    steps.append(GaussianNoise(config.noise_probability, config.noise_snr_range))
    steps.append(Volume(config.volume_probability, config.volume_range))
    steps.append(TelephoneBand(config.telephone_probability))
    steps.append(CodecStep(config.codecs, config.codec_probability))
    return Augmentation(tuple(step for step in steps if step.probability > 0), build_masks(config))


def build_masks(config: DataConfig) -> FeatureMasks | None:
    """Return the masks of log-mel features; None if no crop is masked."""
    if not config.spec_augment_probability:
        return None
    return FeatureMasks(
        config.spec_augment_probability,
        n_band_masks=config.spec_augment_band_masks,
        max_bands=config.spec_augment_max_bands,
        n_frame_masks=config.spec_augment_frame_masks,
        max_frames=config.spec_augment_max_frames,
    )


def open_recordings(path: Path) -> Recordings:
    """Return the recordings of a folder, or of a file of `mrlspk data pack-noise`.

    Raises:
        DataError: If it is absent, or holds no audio.
    """
    return PackedRecordings(path) if is_file(path, DataError) else list_recordings(path)


def list_recordings(folder: Path) -> FolderRecordings:
    """Return the recordings of a folder.

    Raises:
        DataError: If it is absent, or holds no audio, or a file whose name is not UTF-8.
    """
    names = list_audio(folder)
    if odd := next((name for name in names if not is_utf8(name)), None):
        raise DataError(NOT_UTF8, printable(folder / odd), RENAME)
    if not names:
        raise DataError("expected recordings, got no audio at all", folder, "Name a folder of audio files, or null.")
    return FolderRecordings(folder, names)


def _recorded_noise(config: DataConfig, path: Path) -> RecordedNoise:
    recordings = open_recordings(path)
    shares = {str(category): share for category, share in config.musan_shares.items()}
    choice = _checked(choose_by_shares(recordings.names, musan_category, shares), path, "data.musan_shares")
    ranges = {str(each): config.musan_snr_range or own for each, own in config.musan_snr_ranges.items()}
    return RecordedNoise(recordings, choice, config.musan_probability, ranges, config.musan_talkers)


def _rooms(config: DataConfig, path: Path) -> RoomResponse:
    recordings = open_recordings(path)
    shares = None if config.rir_shares is None else {str(kind): share for kind, share in config.rir_shares.items()}
    choice = _checked(choose_by_shares(recordings.names, room_category, shares), path, "data.rir_shares")
    n_used = sum(map(len, choice.members))
    if n_used < len(recordings.names):
        log.info("%s: %d of %d recordings are room responses", path, n_used, len(recordings.names))
    return RoomResponse(recordings, choice, config.rir_probability)


def _checked(choice: Choice | None, path: Path, key: str) -> Choice:
    if choice is None:
        raise DataError(f"holds no recording of a kind that {key} draws", path, f"Give its kind a share in {key}.")
    return choice

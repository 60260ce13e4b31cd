import errno
from pathlib import Path

import numpy as np
import pytest
import soxr
import torch
from tests.unit.data.audio.test_ffmpeg import decode_by_program, read

from mrlspk.data.audio.m4a import save_m4a


@pytest.mark.parametrize("rate", [16_000, 22_050])
def test_another_decoder_reads_the_samples_at_their_place(tmp_path, noise, rate):
    path = tmp_path / "a.m4a"
    save_m4a(path, torch.from_numpy(soxr.resample(noise, 16_000, rate)), waveform_rate=rate)
    decoded = decode_by_program(path, 16_000)[: len(noise)]
    assert np.corrcoef(decoded, noise[: len(decoded)])[0, 1] > 0.98
    assert abs(len(read(path)) - len(noise)) <= 1


def test_a_full_disk_is_one_os_error():
    with pytest.raises(OSError, match="No space left") as caught:
        save_m4a(Path("/dev/full"), torch.zeros(16_000))
    assert caught.value.errno == errno.ENOSPC

import numpy as np
import pytest

from mrlspk.errors import CheckpointError
from mrlspk.inference.export_parity import open_graph
from speaker_graphs import write_speaker_graph


def test_input_that_the_runtime_refuses_is_an_error_of_the_exported_model(tmp_path):
    ports = {"inputs": (("waveform", (1, "n", 80)),), "output": ("embedding", (1, 160))}
    run = open_graph(write_speaker_graph(tmp_path / "m.onnx", **ports), "onnx", "waveform")
    assert run(np.ones((1, 7, 80), np.float32)).shape == (1, 160)
    with pytest.raises(CheckpointError, match=r"the exported model does not run on an input of \(2, 7, 80\): "):
        run(np.ones((2, 7, 80), np.float32))

import pytest

from mrlspk.config import load_config
from mrlspk.config.architecture import BaseFile
from mrlspk.errors import CheckpointError
from mrlspk.files import file_sha256
from mrlspk.inference.external_base import BaseSource
from mrlspk.training.start_model import place_in_run
from mrlspk.workflows.plan_training import plan_training
from mrlspk.workflows.train import train
from speaker_graphs import write_speaker_graph


@pytest.mark.parametrize("begin", [train, plan_training])
@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("none.pt", None, "no such model file"),
        ("none.onnx", None, "no such model file"),
        ("cut.pt", b"PK\x03\x04 cut", "is damaged or no checkpoint"),
        ("text.pt", b"text", "is not a checkpoint"),
        ("cut.onnx", b"\x08\x07 cut", "is not a whole ONNX file"),
    ],
)
def test_model_at_fault_is_told_before_the_corpus_is_read(tmp_path, begin, name, content, told):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    pretrained = {"use_pretrained": "true", "pretrained_checkpoint": tmp_path / name}
    overrides = [f"model.pretrained.{key}={value}" for key, value in pretrained.items()]
    config = load_config(overrides=[*overrides, f"data.train_dataset={tmp_path / 'absent'}", "hardware.device=cpu"])
    with pytest.raises(CheckpointError, match=told) as raised:
        begin(config, cache_dir=tmp_path / "cache")
    assert name in str(raised.value)


@pytest.mark.parametrize(("name", "in_run"), [("campplus.onnx", "campplus.onnx"), ("config.onnx", "base.onnx")])
def test_base_model_in_a_run_leaves_its_configuration_alone(tmp_path, name, in_run):
    path = write_speaker_graph(tmp_path / name)
    path.with_suffix(".yaml").write_text("front_end: kaldi-fbank\n")
    run_dir = tmp_path / "run"
    run_dir.mkdir()
    (run_dir / "config.yaml").write_text("seed: 1\n")
    place_in_run(BaseSource(BaseFile(file=name, sha256=file_sha256(path)), path), run_dir)
    assert (run_dir / in_run).read_bytes() == path.read_bytes()
    assert (run_dir / in_run).with_suffix(".yaml").read_text() == "front_end: kaldi-fbank\n"
    assert (run_dir / "config.yaml").read_text() == "seed: 1\n"

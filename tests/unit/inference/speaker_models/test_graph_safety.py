import hashlib

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from mrlspk.errors import CheckpointError
from mrlspk.inference.speaker_models.graph_safety import read_safe_graph
from speaker_graphs import speaker_graph, write_speaker_graph


def external(location, *, length=None, offset=None):
    """Return a tensor (160,) whose values lie in another file."""
    tensor = TensorProto(name="offset", data_type=TensorProto.FLOAT, dims=[160])
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, "length": length, "offset": offset}.items():
        if value is not None:
            tensor.external_data.add(key=key, value=str(value))
    return tensor


def shifted(path, tensor):
    """Write a model that adds ``tensor`` to the statistics."""
    model = speaker_graph(output=("plain", ("B", 160)), constants=[tensor])
    model.graph.node.append(helper.make_node("Add", ["plain", "offset"], ["embs"]))
    del model.graph.output[:]
    model.graph.output.append(helper.make_tensor_value_info("embs", TensorProto.FLOAT, ["B", 160]))
    onnx.save(model, path)
    return path


def refused(path, what):
    with pytest.raises(CheckpointError, match=what) as caught:
        read_safe_graph(path)
    assert caught.value.where is not None
    return caught.value


def test_whole_file_gives_its_graph_metadata_and_hash(tmp_path):
    path = write_speaker_graph(tmp_path / "m.onnx", {"framework": "wespeaker"})
    graph = read_safe_graph(path)
    assert graph.properties == {"framework": "wespeaker"}
    assert graph.content == path.read_bytes()
    assert graph.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("kept", [0.999, 0.5, 0.01])
def test_truncated_file_is_refused(tmp_path, kept):
    content = speaker_graph().SerializeToString()
    (tmp_path / "m.onnx").write_bytes(content[: int(kept * len(content))])
    refused(tmp_path / "m.onnx", "is not a whole ONNX file|holds no graph|is not an ONNX file but a")


@pytest.mark.parametrize("content", [b"", b"<html>404 Not Found</html>", b"PK\x03\x04", b"\0" * 1000, b"\x08\x07"])
def test_other_files_are_refused(tmp_path, content):
    (tmp_path / "m.onnx").write_bytes(content)
    refused(tmp_path / "m.onnx", "is not a whole ONNX file|holds no graph|is not an ONNX file but a")


def test_weights_beside_the_model_are_read_and_hashed(tmp_path):
    values = np.arange(162, dtype="<f4")
    values.tofile(tmp_path / "m.data")
    path = shifted(tmp_path / "m.onnx", external("m.data", offset=8, length=640))
    graph = read_safe_graph(path)
    [tensor] = [each for each in graph.proto.graph.initializer if each.name == "offset"]
    np.testing.assert_array_equal(onnx.numpy_helper.to_array(tensor), values[2:])
    values[5] = -1
    values.tofile(tmp_path / "m.data")
    assert read_safe_graph(path).sha256 != graph.sha256


@pytest.mark.parametrize("location", ["{folder}/secret.bin", "../secret.bin", "inner/../../secret.bin", "link.bin", ""])
def test_weights_outside_the_folder_are_refused(tmp_path, location):
    np.zeros(160, np.float32).tofile(tmp_path / "secret.bin")
    folder = tmp_path / "model"
    (folder / "inner").mkdir(parents=True)
    (folder / "link.bin").symlink_to(tmp_path / "secret.bin")
    path = shifted(folder / "m.onnx", external(location.format(folder=tmp_path)))
    refused(path, "expected the weights of offset in its own folder")


def test_weights_that_are_missing_or_short_are_refused(tmp_path):
    path = shifted(tmp_path / "m.onnx", external("m.data", length=640))
    assert refused(path, "cannot be read: No such file").where == tmp_path / "m.data"
    (tmp_path / "m.data").write_bytes(b"\0" * 100)
    assert refused(path, "expected 640 bytes for offset, found 100").where == tmp_path / "m.data"


def test_custom_operators_are_refused_with_their_names(tmp_path):
    node = helper.make_node("RunShell", ["feats"], ["other"], domain="evil.ops")
    path = write_speaker_graph(tmp_path / "m.onnx", nodes=[node], opsets=(("", 18), ("evil.ops", 1)))
    refused(path, r"operators that ONNX Runtime does not have: evil\.ops\.RunShell")


def test_custom_operators_inside_a_branch_are_refused(tmp_path):
    out = helper.make_tensor_value_info("inside", TensorProto.FLOAT, None)
    branch = helper.make_graph([helper.make_node("Hidden", ["feats"], ["inside"], domain="evil.ops")], "b", [], [out])
    node = helper.make_node("If", ["yes"], ["other"], then_branch=branch, else_branch=branch)
    yes = helper.make_tensor("yes", TensorProto.BOOL, [1], [True])
    path = write_speaker_graph(tmp_path / "m.onnx", nodes=[node], constants=[yes])
    refused(path, r"evil\.ops\.Hidden")


def test_functions_in_the_file_are_graphs_and_allowed(tmp_path):
    model = speaker_graph(nodes=[helper.make_node("Same", ["feats"], ["other"], domain="local")])
    body = [helper.make_node("Identity", ["a"], ["b"])]
    model.functions.append(helper.make_function("local", "Same", ["a"], ["b"], body, [helper.make_opsetid("", 18)]))
    onnx.save(model, tmp_path / "m.onnx")
    assert read_safe_graph(tmp_path / "m.onnx").properties == {}


@pytest.mark.parametrize("dims", [[1 << 40], [1 << 20, 1 << 20], [-1]])
def test_oversized_tensors_are_refused(tmp_path, dims):
    tensor = TensorProto(name="huge", data_type=TensorProto.FLOAT, dims=dims)
    path = write_speaker_graph(tmp_path / "m.onnx", constants=[tensor])
    refused(path, "expected a tensor of at most 2,147,483,647 bytes, found huge of")


@pytest.mark.parametrize("operator", ["ConstantOfShape", "Expand"])
def test_operators_that_make_oversized_tensors_are_refused(tmp_path, operator):
    shape = helper.make_tensor("shape", TensorProto.INT64, [3], [1 << 20, 1 << 20, 4])
    inputs = ["shape"] if operator == "ConstantOfShape" else ["feats", "shape"]
    node = helper.make_node(operator, inputs, ["made"])
    path = write_speaker_graph(tmp_path / "m.onnx", nodes=[node], constants=[shape])
    refused(path, "found made of 1048576 × 1048576 × 4")

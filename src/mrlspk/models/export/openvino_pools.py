"""Let average pools of an OpenVINO model read signals that are shorter than their window.

OpenVINO refuses such signals. CAM++ pools a second of frames at a time, and other runtimes take the mean of what there
is.
"""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import openvino


def allow_short_signals(model: "openvino.Model") -> None:
    """Replace, in place, each pool over time whose last window may be short by one that pads with zeros.

    The mean of a window is then divided by the part of it that is no padding.
    """
    for pool in model.get_ordered_ops():
        if _may_be_short(pool):
            mean = _padded_mean(pool.input_value(0), pool.get_attributes()["kernel"][0])
            for reader in list(pool.output(0).get_target_inputs()):
                reader.replace_source_output(mean)
    model.validate_nodes_and_infer_types()


def _may_be_short(node: "openvino.Node") -> bool:
    """Return whether a node is the mean of windows side by side along one axis, the last of which may be short."""
    if node.get_type_name() != "AvgPool":
        return False
    found = node.get_attributes()
    pads = {*found["pads_begin"], *found["pads_end"]}
    side_by_side = len(found["kernel"]) == 1 and list(found["strides"]) == list(found["kernel"]) and pads == {0}
    return side_by_side and found["rounding_type"] != "floor" and set(found.get("dilations", [1])) == {1}


def _padded_mean(values: "openvino.Output", size: int) -> "openvino.Output":
    """Return the means of windows of ``size`` values along the last axis of (batch, channels, values)."""
    from openvino import opset13 as ops

    length = ops.gather(ops.shape_of(values), [2], 0)
    missing = ops.floor_mod(ops.negative(length), [size])
    zeros, end = [0, 0, 0], ops.concat([ops.constant([0, 0]), missing], 0)
    one, zero = (ops.constant(np.float32(value)) for value in (1, 0))
    ones = ops.broadcast(one, ops.concat([ops.constant([1, 1]), length], 0))
    padded = [ops.pad(each, zeros, end, "constant", zero) for each in (values, ones)]
    means, parts = (ops.avg_pool(each, [size], [0], [0], [size], exclude_pad=False) for each in padded)
    mean: openvino.Output = ops.divide(means, parts).output(0)
    return mean

"""Recognise the exports of WeSpeaker, 3D-Speaker and NeMo by their metadata, or by the names of inputs and outputs."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from mrlspk.errors import CheckpointError, shorten
from mrlspk.inference.speaker_models.description import SAMPLE_RATE, Settings
from mrlspk.inference.speaker_models.front_ends import KaldiFbank, NemoMel
from mrlspk.inference.speaker_models.graph_ports import Ports

# The names that each toolkit's own export gives to inputs and outputs.
NAMES = {
    (("feats",), ("embs",)): "wespeaker",
    (("feature",), ("embedding",)): "3d-speaker",
    (("audio_signal", "length"), ("logits", "embs")): "nemo",
}
WINDOWS = {"wespeaker": "hamming", "3d-speaker": "povey"}
SCALES = {"wespeaker": 0, "3d-speaker": 1}  # normalize_samples, where the metadata do not say
FIX = "Correct its metadata, or describe it in a YAML file beside it: `mrlspk model describe` drafts one."


@dataclass(frozen=True)
class Recognised:
    """The toolkit that a model is from.

    Attributes:
        framework: ``wespeaker``, ``3d-speaker`` or ``nemo``.
        settings: What its metadata mean.
        source: ``metadata`` or ``names``.
    """

    framework: str
    settings: Settings
    source: str


def recognise(properties: Mapping[str, str], ports: Ports, where: Path) -> Recognised | None:
    """Return the toolkit of a model and what its metadata mean; None if it is not recognised.

    Args:
        properties: Metadata of the ONNX file, as sherpa-onnx writes them.
        ports: Of its graph.
        where: Path of the model.

    Raises:
        CheckpointError: If the metadata have a value that cannot be.
    """
    framework = properties.get("framework", "").lower()
    if framework in {*WINDOWS, "nemo"}:
        return Recognised(framework, _settings(framework, properties, where), "metadata")
    names = tuple(port.name for port in ports.inputs), tuple(port.name for port in ports.outputs)
    if framework or names not in NAMES:
        return None
    return Recognised(NAMES[names], _settings(NAMES[names], {}, where), "names")


def _settings(framework: str, properties: Mapping[str, str], where: Path) -> Settings:
    front_end = _nemo(properties, where) if framework == "nemo" else _kaldi(framework, properties, where)
    width = _whole(properties, "output_dim", 0, where)
    try:
        return Settings(
            front_end=front_end,
            sample_rate=_whole(properties, "sample_rate", SAMPLE_RATE, where),
            output="embs" if framework == "nemo" else None,
            embed_dim=width or None,
        )
    except ValidationError as error:
        raise _wrong("output_dim", properties, "a width of an embedding", where) from error


def _kaldi(framework: str, properties: Mapping[str, str], where: Path) -> KaldiFbank:
    """Return the filter banks of a model.

    WeSpeaker takes the mean over the utterance, and its metadata do not name it.
    """
    normalised = _whole(properties, "normalize_samples", SCALES[framework], where)
    if normalised not in {0, 1}:
        raise _wrong("normalize_samples", properties, "0 or 1", where)
    if properties.get("feature_normalize_type", "global-mean") not in {"global-mean", ""}:
        raise _wrong("feature_normalize_type", properties, "global-mean", where)
    return KaldiFbank.model_validate({"window": WINDOWS[framework], "sample_scale": 1 if normalised else 32768})


def _nemo(properties: Mapping[str, str], where: Path) -> NemoMel:
    normalise = properties.get("feature_normalize_type", "per_feature")
    if normalise not in {"per_feature", ""}:
        raise _wrong("feature_normalize_type", properties, "per_feature", where)
    if properties.get("window_type", "hann") not in {"hann", "hanning"}:
        raise _wrong("window_type", properties, "hann", where)
    keys = {"bins": "feat_dim", "window_ms": "window_size_ms", "stride_ms": "window_stride_ms"}
    found = {key: _whole(properties, name, 0, where) for key, name in keys.items() if name in properties}
    try:
        return NemoMel.model_validate(found | {"normalise": normalise or "none"})
    except ValidationError as error:
        name = keys[str(error.errors()[0]["loc"][0])]
        raise _wrong(name, properties, "a size that a front end can have", where) from error


def _whole(properties: Mapping[str, str], key: str, default: int, where: Path) -> int:
    text = properties.get(key, str(default)).strip()
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise _wrong(key, properties, "a whole number", where)
    return int(text)


def _wrong(key: str, properties: Mapping[str, str], expected: str, where: Path) -> CheckpointError:
    found = shorten(repr(properties.get(key)), 60)
    return CheckpointError(f"expected {expected} as {key} in its metadata, found {found}", where, FIX)

"""Add a front end to a graph: waveforms in, and what the speaker model reads out."""

from mrlspk.inference.one_graph.nodes import Nodes
from mrlspk.inference.one_graph.spectra import KALDI_FLOOR, NEMO_FLOOR, Spectrum, kaldi_spectrum, nemo_spectrum
from mrlspk.inference.speaker_models.front_ends import PREEMPHASIS, STD_FLOOR, KaldiFbank, NemoMel, Waveform
from mrlspk.models.graph_metadata import FEATURES

BACKWARDS_END = -(2**31)  # before the first value of any axis


def add_front_end(nodes: Nodes, front_end: KaldiFbank | NemoMel | Waveform, waveform: str, sample_rate: int) -> str:
    """Add the nodes of a front end; return the name of its output, ``features``.

    Args:
        nodes: Of the graph.
        front_end: What to compute.
        waveform: Name of the value (batch, samples) in [-1, 1].
        sample_rate: Hz.

    Returns:
        The name of (batch, frames, bins), or of (batch, samples) for a graph that reads samples.
    """
    if isinstance(front_end, KaldiFbank):
        return _add_kaldi(nodes, front_end, waveform, sample_rate)
    if isinstance(front_end, NemoMel):
        return _add_nemo(nodes, front_end, waveform, sample_rate)
    return nodes.add("Mul", waveform, nodes.constant(float(front_end.sample_scale)), name=FEATURES)


def _add_kaldi(nodes: Nodes, front_end: KaldiFbank, waveform: str, sample_rate: int) -> str:
    spectrum = kaldi_spectrum(front_end, sample_rate)
    signal = waveform if front_end.snip_edges else _mirror_ends(nodes, waveform, spectrum)
    differences = nodes.add("Conv", nodes.reshape(signal, [0, 1, -1]), nodes.constant([[[-1.0, 1.0]]]))
    power = _add_mel_power(nodes, spectrum, differences)
    features = nodes.add("Log", nodes.add("Max", power, nodes.constant(KALDI_FLOOR)))
    if front_end.mean == "utterance":
        features = _subtract_mean(nodes, features)
    return nodes.add("Transpose", features, perm=[0, 2, 1], name=FEATURES)


def _mirror_ends(nodes: Nodes, waveform: str, spectrum: Spectrum) -> str:
    """Append samples at both ends in reverse, the outermost one repeated."""
    axis, backwards = nodes.constant([1]), nodes.constant([-1])

    def reverse(first: int, end: int) -> str:
        return nodes.add("Slice", waveform, nodes.constant([first]), nodes.constant([end]), axis, backwards)

    left = reverse(spectrum.before - 1, BACKWARDS_END)
    return nodes.add("Concat", left, waveform, reverse(-1, -1 - spectrum.after), axis=1)


def _add_nemo(nodes: Nodes, front_end: NemoMel, waveform: str, sample_rate: int) -> str:
    spectrum = nemo_spectrum(front_end, sample_rate)
    emphasis = nodes.constant([[[-PREEMPHASIS, 1.0]]])
    emphasised = nodes.add("Conv", nodes.reshape(waveform, [0, 1, -1]), emphasis, pads=[1, 0])
    power = _add_mel_power(nodes, spectrum, emphasised, pads=(spectrum.before, spectrum.after))
    features = nodes.add("Log", nodes.add("Add", power, nodes.constant(NEMO_FLOOR)))
    if front_end.normalise == "per_feature":
        features = _normalise(nodes, features)
    return nodes.add("Transpose", features, perm=[0, 2, 1], name=FEATURES)


def _add_mel_power(nodes: Nodes, spectrum: Spectrum, signal: str, *, pads: tuple[int, int] = (0, 0)) -> str:
    """Map (batch, 1, samples) to (batch, bins, frames)."""
    waves, filters = nodes.constant(spectrum.waves[:, None]), nodes.constant(spectrum.filters[:, :, None])
    parts = nodes.add("Conv", signal, waves, strides=[spectrum.step], pads=pads)
    return nodes.add("Conv", nodes.add("Mul", parts, parts), filters)


def _subtract_mean(nodes: Nodes, features: str) -> str:
    return nodes.add("Sub", features, nodes.add("GlobalAveragePool", features))


def _normalise(nodes: Nodes, features: str) -> str:
    """Bring each bin of (batch, bins, frames) to mean 0 and standard deviation 1; frames - 1 divides the squares."""
    centred = _subtract_mean(nodes, features)
    variance = nodes.add("GlobalAveragePool", nodes.add("Mul", centred, centred))
    frames = nodes.add("Cast", size_of(nodes, features, 2), to=1)
    free = nodes.add("Sub", frames, nodes.constant(1.0))
    deviation = nodes.add("Sqrt", nodes.add("Mul", variance, nodes.add("Div", frames, free)))
    return nodes.add("Div", centred, nodes.add("Add", deviation, nodes.constant(STD_FLOOR)))


def size_of(nodes: Nodes, value: str, axis: int) -> str:
    """Return the name of the size (1,) of an axis."""
    return nodes.add("Gather", nodes.add("Shape", value), nodes.constant([axis]))

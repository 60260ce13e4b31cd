"""Matryoshka speaker embeddings: one forward pass, a good embedding at every prefix width.

``mrlspk.load(MODEL)`` returns a `SpeakerEncoder`; `cosine` and `cosine_matrix` compare its embeddings::

    import mrlspk

    encoder = mrlspk.load("redimnet-b2-vox2-ft_lm")
    embedding = encoder.embed("call.wav", dim=192)
    print(encoder.similarity("a.wav", "b.wav"))

Errors on purpose are `MrlspkError`. Importing the package alone imports neither torch nor NumPy.
"""

import os
import sys
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mrlspk.errors import MrlspkError

if TYPE_CHECKING:
    from mrlspk.index.voice_index import VoiceIndex
    from mrlspk.inference.backend import BackendName
    from mrlspk.inference.embed_many import EmbeddedAudio
    from mrlspk.inference.speaker_encoder import SpeakerEncoder
    from mrlspk.metrics.similarity import cosine, cosine_matrix

__version__ = version("mrlspk")
__all__ = [
    "EmbeddedAudio",
    "MrlspkError",
    "SpeakerEncoder",
    "VoiceIndex",
    "__version__",
    "cosine",
    "cosine_matrix",
    "load",
]

_MODULES = {
    "EmbeddedAudio": "mrlspk.inference.embed_many",
    "SpeakerEncoder": "mrlspk.inference.speaker_encoder",
    "VoiceIndex": "mrlspk.index.voice_index",
    "cosine": "mrlspk.metrics.similarity",
    "cosine_matrix": "mrlspk.metrics.similarity",
}  # of names that need torch or NumPy
_METHODS = {"embed", "embed_many", "similarity", "speech_seconds"}


def load(
    model: str | os.PathLike[str],
    *,
    device: str = "auto",
    cache_dir: str | os.PathLike[str] | None = None,
    mirror: str | None = None,
    backend: "BackendName" = "torch",
    trust_code: bool = False,
) -> "SpeakerEncoder":
    """Return the encoder of a model; a published model is downloaded at its first use.

    Example:
        >>> encoder = mrlspk.load("checkpoints/first/best.pt")  # or a name: mrlspk.load("redimnet-b2-vox2-ft_lm")
        >>> encoder.dims                                    # the widths that it was trained for
        (64, 128, 192)
        >>> embedding = encoder.embed("call.wav", dim=64)   # NumPy float32 (64,) at unit length
        >>> encoder.similarity("a.wav", "b.wav")            # cosine in [-1, 1]
        0.71
        >>> for found in encoder.embed_many(["a.wav", "b.wav"]):
        ...     print(found.path, found.embedding, found.error)

    Args:
        model: A path, or a name that ``mrlspk pretrained list`` shows.
        device: auto, cpu, cuda, cuda:N or mps.
        cache_dir: Folder of fetched models. Default: ``MRLSPK_CACHE_DIR``, else ``~/.cache/mrlspk``.
        mirror: URL or folder with copies of the published files. Default: ``MRLSPK_MIRROR``.
        backend: What runs the network of a checkpoint: torch, onnxruntime, openvino, or auto for the fastest of them.
        trust_code: Run the program in a TorchScript model; only for files that you trust.

    Raises:
        ConfigError: If ``MRLSPK_CACHE_DIR`` or ``MRLSPK_MIRROR`` is not allowed.
        UsageError: If ``model`` is neither path nor name, or no device or backend has this name.
        MissingDependencyError: If this machine has no such device.
        CheckpointError: If the file is not a checkpoint or does not fit its own configuration.
        DownloadError: If a published model cannot be fetched.
    """
    from mrlspk.config.sources import read_environment
    from mrlspk.inference import speaker_encoder

    environment = read_environment(os.environ, strict=False)
    folder = environment.cache_dir if cache_dir is None else Path(cache_dir)
    return speaker_encoder.load(
        model,
        device=device,
        cache_dir=folder,
        mirror=mirror or environment.mirror,
        backend=backend,
        trust_code=trust_code,
    )


def __getattr__(name: str) -> Any:
    """Import the names that need torch or NumPy at their first use."""
    if name in _MODULES:
        return getattr(import_module(_MODULES[name]), name)
    what = f"module 'mrlspk' has no attribute {name!r}"
    if name in _METHODS:
        what += f": it is a method of the encoder, mrlspk.load(MODEL).{name}(...)"
    raise AttributeError(what, name=name, obj=sys.modules[__name__])


def __dir__() -> list[str]:
    """Return the public names."""
    return sorted(__all__)

"""Matryoshka speaker embeddings: one forward pass, a good embedding at every prefix width.

``mrlspk.load(MODEL)`` returns a `SpeakerEncoder`; `cosine` and `cosine_matrix` compare its embeddings. Importing the
package alone imports neither torch nor NumPy.
"""

import os
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mrlspk.errors import MrlspkError

if TYPE_CHECKING:
    from mrlspk.inference.backend import BackendName
    from mrlspk.inference.embed_many import EmbeddedAudio
    from mrlspk.inference.speaker_encoder import SpeakerEncoder
    from mrlspk.metrics.similarity import cosine, cosine_matrix

__version__ = version("mrlspk")
__all__ = ["EmbeddedAudio", "MrlspkError", "SpeakerEncoder", "__version__", "cosine", "cosine_matrix", "load"]

_MODULES = {
    "EmbeddedAudio": "mrlspk.inference.embed_many",
    "SpeakerEncoder": "mrlspk.inference.speaker_encoder",
    "cosine": "mrlspk.metrics.similarity",
    "cosine_matrix": "mrlspk.metrics.similarity",
}  # of names that need torch or NumPy


def load(
    model: str | os.PathLike[str],
    *,
    device: str = "auto",
    cache_dir: str | os.PathLike[str] | None = None,
    mirror: str | None = None,
    backend: "BackendName" = "torch",
    trust_code: bool = False,
) -> "SpeakerEncoder":
    """Return the encoder of a checkpoint; a published model is downloaded at its first use.

    Args:
        model: A path, or a name that ``mrlspk pretrained list`` shows.
        device: auto, cpu, cuda, cuda:N or mps.
        cache_dir: Folder of fetched models. Default: ``MRLSPK_CACHE_DIR``, else ``~/.cache/mrlspk``.
        mirror: URL or folder with copies of the published files. Default: ``MRLSPK_MIRROR``.
        backend: What runs the network of a checkpoint: torch, onnxruntime, openvino, or auto for the fastest of them.
        trust_code: Run the program in a TorchScript model; only for files that you trust.

    Raises:
        ConfigError: If ``MRLSPK_CACHE_DIR`` or ``MRLSPK_MIRROR`` is not allowed.
        UsageError: If there is no device of this name.
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
    raise AttributeError(f"module 'mrlspk' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

"""Matryoshka speaker embeddings: one forward pass, a good embedding at every prefix width.

``mrlspk.load(MODEL)`` gives a `SpeakerEncoder`; importing the package alone does not import torch.
"""

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from mrlspk.errors import MrlspkError

if TYPE_CHECKING:
    from mrlspk.inference.speaker_encoder import SpeakerEncoder, load

__version__ = version("mrlspk")
__all__ = ["MrlspkError", "SpeakerEncoder", "__version__", "load"]


def __getattr__(name: str) -> Any:
    """Import the names that need torch at their first use."""
    if name in {"SpeakerEncoder", "load"}:
        from mrlspk.inference import speaker_encoder

        return getattr(speaker_encoder, name)
    raise AttributeError(f"module 'mrlspk' has no attribute {name!r}")

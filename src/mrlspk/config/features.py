"""Section ``features``: pooled vectors of a frozen backbone, and where they are kept."""

from pathlib import Path
from typing import Literal

from pydantic import Field, PositiveInt

from mrlspk.config.base import StrictModel


class FeaturesConfig(StrictModel):
    """Pooled vectors of a frozen backbone, made once and kept."""

    folder: Path = Field(Path("features"), description="Folder that gets one folder for each set of vectors.")
    crops_per_utterance: PositiveInt = Field(4, description="Augmented crops of each utterance, at each speed.")
    n_whole: PositiveInt = Field(
        20_000, description="Whole utterances, drawn from the corpus, that the rotation is fitted on."
    )
    dtype: Literal["float16", "float32"] = Field("float16", description="Number type that is kept.")
    batch_size: PositiveInt = Field(64, description="Crops that go through the backbone together.")

"""Checkpoint files: four layouts read without running what they hold, and our own written."""

from mrlspk.models.checkpoints.loading import (
    LoadedModel,
    ModelInspection,
    inspect_model,
    load_entries,
    load_model,
    with_widths,
)
from mrlspk.models.checkpoints.own import encoder_entries, write_entries
from mrlspk.models.checkpoints.portable import check_form, portable_entries, save_model
from mrlspk.models.checkpoints.reading import read_checkpoint
from mrlspk.models.checkpoints.transfer import TransferReport

__all__ = [
    "LoadedModel",
    "ModelInspection",
    "TransferReport",
    "check_form",
    "encoder_entries",
    "inspect_model",
    "load_entries",
    "load_model",
    "portable_entries",
    "read_checkpoint",
    "save_model",
    "with_widths",
    "write_entries",
]

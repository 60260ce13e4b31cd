"""Read checkpoints of four layouts without running code in them, and write our own."""

from mrlspk.models.checkpoints.files import (
    check_suffix,
    read_checkpoint,
    save_checkpoint,
    write_checkpoint,
    write_entries,
)
from mrlspk.models.checkpoints.loading import (
    HeadOnlyError,
    LoadedModel,
    ModelInspection,
    encoder_entries,
    inspect_entries,
    inspect_model,
    load_entries,
    load_model,
    network_of,
    portable_entries,
    with_widths,
)
from mrlspk.models.checkpoints.state_dict_report import StateDictReport

__all__ = [
    "HeadOnlyError",
    "LoadedModel",
    "ModelInspection",
    "StateDictReport",
    "check_suffix",
    "encoder_entries",
    "inspect_entries",
    "inspect_model",
    "load_entries",
    "load_model",
    "network_of",
    "portable_entries",
    "read_checkpoint",
    "save_checkpoint",
    "with_widths",
    "write_checkpoint",
    "write_entries",
]

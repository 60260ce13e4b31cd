"""Define the configuration of a run as frozen pydantic models, and load it."""

from mrlspk.config.root import Config
from mrlspk.config.sources import dump_config, load_config, named_keys

__all__ = ["Config", "dump_config", "load_config", "named_keys"]

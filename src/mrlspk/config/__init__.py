"""The configuration of a run: frozen pydantic models, and where their values come from."""

from mrlspk.config.root import Config
from mrlspk.config.sources import dump_config, load_config, named_keys

__all__ = ["Config", "dump_config", "load_config", "named_keys"]

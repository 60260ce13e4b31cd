"""Settings of the program itself, from ``MRLSPK_*`` variables."""

from collections.abc import Mapping
from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from mrlspk.config.sources import check_environment


class Environment(BaseSettings):
    """What no single run owns: the default model and where fetched models are kept."""

    model_config = SettingsConfigDict(env_prefix="MRLSPK_", frozen=True)

    model: str | None = Field(None, description="MODEL where a command names none: a path or a published name.")
    cache_dir: Path = Field(Path.home() / ".cache" / "mrlspk", description="Folder of fetched models.")
    mirror: str | None = Field(None, description="URL or folder that holds copies of the published files.")


def read_environment(variables: Mapping[str, str]) -> Environment:
    """Return the settings of the program, once every variable of ours is known to mean something.

    Raises:
        ConfigError: If one does not; the nearest variable is named.
    """
    check_environment(variables)
    return Environment()

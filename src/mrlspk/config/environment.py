"""Settings of the program itself, from ``MRLSPK_*`` variables."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Environment(BaseSettings):
    """What no single run owns: the default model and where fetched models are kept."""

    model_config = SettingsConfigDict(env_prefix="MRLSPK_", frozen=True)

    model: str | None = Field(None, description="MODEL where a command names none: a path or a published name.")
    cache_dir: Path = Field(Path.home() / ".cache" / "mrlspk", description="Folder of fetched models.")
    mirror: str | None = Field(None, description="URL or folder that holds copies of the published files.")

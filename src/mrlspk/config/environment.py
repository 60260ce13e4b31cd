"""Settings of the program itself, from ``MRLSPK_*`` variables."""

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from mrlspk.config.sources import PREFIX, check_environment
from mrlspk.errors import ConfigError


class Environment(BaseSettings):
    """What no single run owns: the default model and where fetched models are kept; an empty variable is not set."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, frozen=True)

    model: str | None = Field(None, description="MODEL where a command names none: a path or a published name.")
    cache_dir: Path = Field(Path.home() / ".cache" / "mrlspk", description="Folder of fetched models.")
    mirror: str | None = Field(None, description="URL or folder that holds copies of the published files.")

    @field_validator("cache_dir")
    @classmethod
    def _expand(cls, folder: Path) -> Path:
        try:
            return folder.expanduser()
        except RuntimeError as error:
            raise ValueError(f"there is no such user: {folder}") from error

    @field_validator("mirror")
    @classmethod
    def _check_mirror(cls, mirror: str | None) -> str | None:
        """Let an http or https address pass to which a file name can be added, and a folder."""
        if mirror is None:
            return None
        if "://" not in mirror:
            return str(cls._expand(Path(mirror)))
        address = urlsplit(mirror)
        if address.scheme not in {"http", "https"} or not address.hostname or "?" in mirror or "#" in mirror:
            raise ValueError("expected a folder, or an http or https address without query and fragment")
        return mirror


def read_environment(variables: Mapping[str, str]) -> Environment:
    """Return the settings of the program, once every variable of ours is known to mean something.

    Raises:
        ConfigError: If one does not (the nearest variable is named), or if a value is not allowed.
    """
    check_environment(variables)
    try:
        return Environment()
    except ValidationError as error:
        problem = error.errors()[0]
        name = f"{PREFIX}{problem['loc'][0]}".upper()
        raise ConfigError(problem["msg"].removeprefix("Value error, "), name, f"Mend {name}, or unset it.") from error

"""Number the version of the JSON documents that commands print and reports hold."""

from typing import Final

SCHEMA_VERSION: Final = 2  # 2: `model` is an object

"""Create the folder of an index."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from mrlspk.errors import MrlspkError
from mrlspk.files import whole_folder
from mrlspk.index.store.database import FILE_NAME
from mrlspk.index.store.database_errors import database_errors
from mrlspk.index.store.row_files import OWNER_ONLY, OWNER_ONLY_FOLDER, sync_folder
from mrlspk.index.store.schema import create_tables
from mrlspk.index.store.settings import IndexSettings
from mrlspk.index.store.state import write_settings
from mrlspk.partial_files import write_errors


def create_index(folder: Path, settings: IndexSettings) -> None:
    """Create the folder of an index whole or not at all; only its owner may look into it.

    Raises:
        MrlspkError: If the folder has files, or cannot be written.
    """
    check_is_free(folder)
    with whole_folder(folder, force=False) as partial:
        partial.chmod(OWNER_ONLY_FOLDER)
        path = partial / FILE_NAME
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, OWNER_ONLY))  # SQLite gives its files this mode
        with database_errors(path), closing(sqlite3.connect(path, isolation_level=None)) as connection:
            create_tables(connection)
            write_settings(connection, settings)
        sync_folder(partial)
    with write_errors(folder):
        sync_folder(folder.absolute().parent)


def check_is_free(folder: Path) -> None:
    """Check that an index can be made in a folder: it is new or empty.

    Raises:
        MrlspkError: If it has files, or cannot be read.
    """
    with write_errors(folder):
        if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
            raise MrlspkError("exists", folder, "Give the path of a new folder.")

"""Replace the shortlist of an index by one of another type or width."""

from pathlib import Path

from mrlspk.index.funnel.codes import encode, row_blocks
from mrlspk.index.shortlist import ShortlistSpec
from mrlspk.index.store.database import Database
from mrlspk.index.store.layout import build_layout
from mrlspk.index.store.mapped_arrays import MappedArrays
from mrlspk.index.store.row_files import RowAppender, sync_folder
from mrlspk.index.store.row_writer import record_segments
from mrlspk.index.store.state import build_rotation, write_settings
from mrlspk.index.store.transactions import changing


def replace_shortlist(database: Database, folder: Path, spec: ShortlistSpec) -> None:
    """Write the codes of all voices to a new file and let readers change over to it; the old file is deleted.

    Raises:
        MrlspkError: If the folder cannot be written or has no room.
    """
    with changing(database, folder) as (connection, state):
        arrays = MappedArrays.of(connection, folder, None)
        settings = state.settings.with_changes(shortlist=spec)
        write_settings(connection, settings)
        old = state.layout.shortlist
        new = build_layout(folder, state.counts.generation, settings).shortlist
        if new == old:  # only the number of candidates is another
            return
        connection.execute("DELETE FROM segments WHERE file = ?", (old.path.name,))
        if state.counts.slots:
            rotation = build_rotation(settings)
            with RowAppender(new, 0) as codes:
                blocks = row_blocks(state.counts.slots)
                record_segments(
                    connection, (codes.append(encode(arrays.profiles[rows], spec, rotation)) for rows in blocks)
                )
                codes.sync()
            sync_folder(state.layout.folder)
    with changing(database, folder):  # which deletes the old file
        pass

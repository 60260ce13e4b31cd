"""Define the tables of an index and create them."""

import sqlite3

APPLICATION_ID = 0x6D726C69  # "mrli": tells the file apart from other SQLite files
SCHEMA_VERSION = 1

TABLES = """
CREATE TABLE settings (key TEXT PRIMARY KEY, value NOT NULL);
CREATE TABLE state (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    generation INTEGER NOT NULL,
    slots INTEGER NOT NULL,
    recording_rows INTEGER NOT NULL,
    changes INTEGER NOT NULL,
    voices INTEGER NOT NULL,
    recordings INTEGER NOT NULL,
    is_compacting INTEGER NOT NULL
);
CREATE TABLE segments (
    file TEXT NOT NULL,
    first_row INTEGER NOT NULL,
    rows INTEGER NOT NULL,
    crc32 INTEGER NOT NULL,
    PRIMARY KEY (file, first_row)
);
CREATE TABLE voices (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    metadata TEXT NOT NULL,
    created TEXT NOT NULL
);
CREATE TABLE recordings (
    id INTEGER PRIMARY KEY,
    voice_id INTEGER NOT NULL REFERENCES voices ON DELETE CASCADE,
    source TEXT NOT NULL,
    seconds REAL,
    speech_seconds REAL,
    warnings TEXT NOT NULL,
    vector_row INTEGER,
    added TEXT NOT NULL
);
CREATE INDEX recordings_of_voice ON recordings (voice_id);
CREATE TABLE profiles (slot INTEGER PRIMARY KEY, voice_id INTEGER NOT NULL REFERENCES voices ON DELETE CASCADE);
CREATE INDEX profiles_of_voice ON profiles (voice_id);
CREATE TABLE removed (change INTEGER PRIMARY KEY, slots BLOB NOT NULL);
INSERT INTO state VALUES (1, 1, 0, 0, 0, 0, 0, 0);
"""


def create_tables(connection: sqlite3.Connection) -> None:
    """Create the tables of an empty index."""
    connection.executescript(
        f"PRAGMA journal_mode = WAL; BEGIN; {TABLES}"
        f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;"
    )

"""The recipe of shards that `mrlspk data pack` wrote."""

from pathlib import Path

from mrlspk.data.manifest import CorpusListing
from mrlspk.data.shards.reading import is_shards, read_shards


class Shards:
    """A folder of shards with an index, or the URL of either."""

    name = "shards"
    layout = "shards with an index"

    def recognises(self, path: Path) -> bool:
        """Return whether there is an index, or the path is a URL."""
        return is_shards(path)

    def list_utterances(self, path: Path) -> CorpusListing:
        """Return the utterances of the index.

        Raises:
            DataError: If the index cannot be read, or packing was stopped before it was written.
            DownloadError: If the server of a URL cannot be reached.
            MissingDependencyError: If the package that reads the index or the URL is not installed.
        """
        return CorpusListing(read_shards(path))

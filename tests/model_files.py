"""Bodies that stand for published files, and how tests compare them."""

import hashlib
import io
import zipfile


def checkpoint(content):
    """Return a zip file, as every checkpoint is one, that holds ``content`` as it is."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(zipfile.ZipInfo("data"), content)
    return file.getvalue()


def sha256(content):
    """Return the SHA-256 of a file or of bytes: what tests compare, for a diff of long bodies takes minutes."""
    return hashlib.sha256(content if isinstance(content, bytes) else content.read_bytes()).hexdigest()

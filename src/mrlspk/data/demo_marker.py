"""Recognise the demo corpus of synthetic voices by the file that marks it."""

from pathlib import Path

DEMO_MARKER = "demo.json"  # beside the folders train and test


def is_demo_corpus(root: Path) -> bool:
    """Return whether a folder is a demo corpus, or its part to train or test on."""
    return any((folder / DEMO_MARKER).is_file() for folder in (root, root.absolute().parent))

"""Fixtures for tests of training."""

import pytest

from factories import write_voices


@pytest.fixture(scope="session")
def tiny_corpus(tmp_path_factory):
    """Four voices of two sessions with two files of half a second each."""
    return write_voices(tmp_path_factory.mktemp("voices") / "train")

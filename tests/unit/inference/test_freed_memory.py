from types import SimpleNamespace

import pytest

from mrlspk.inference import freed_memory


@pytest.fixture(autouse=True)
def _forget_the_library():
    freed_memory._find_trim.cache_clear()
    yield
    freed_memory._find_trim.cache_clear()


def test_freed_pages_are_released(monkeypatch):
    pads = []
    monkeypatch.setattr(freed_memory.ctypes, "CDLL", lambda _: SimpleNamespace(malloc_trim=pads.append))
    freed_memory.release_freed_memory()
    assert pads == [0]


def test_c_library_that_cannot_release_is_left_alone(monkeypatch):
    monkeypatch.setattr(freed_memory.ctypes, "CDLL", lambda _: SimpleNamespace())
    freed_memory.release_freed_memory()


def test_windows_has_no_library_without_a_name(monkeypatch):
    def refuse(name):
        raise TypeError(name)

    monkeypatch.setattr(freed_memory.ctypes, "CDLL", refuse)
    monkeypatch.setattr(freed_memory.sys, "platform", "win32")
    freed_memory.release_freed_memory()

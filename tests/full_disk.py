"""Disks that are full and folders that are read-only, for this process."""

import ctypes
import os
import resource
import subprocess
from contextlib import contextmanager

import pytest

CAPABILITIES = 0x20080522  # version 3 of the structures of capset
DAC_OVERRIDE, DAC_READ_SEARCH = 1, 2  # root's rights to ignore the permissions of files
PAGE = 4096


@contextmanager
def files_up_to(n_bytes):
    """Let no file of this process grow beyond a size; a bare machine allows that to every user."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@contextmanager
def small_disk(folder):
    """Mount a disk at a folder; yield a function that leaves so many bytes of it free, by a file beside the others."""
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=16M", "tmpfs", folder], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"no disk can be mounted: {mounted.stderr.strip()}")

    def leave(n_bytes):
        state = os.statvfs(folder)
        (folder / "filler").write_bytes(bytes(state.f_bavail * state.f_frsize - n_bytes // PAGE * PAGE))

    try:
        yield leave
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


@contextmanager
def read_only(folder):
    """Take away the permission to write to a folder, also from root."""
    mode = folder.stat().st_mode
    folder.chmod(0o555)
    try:
        with _without_override():
            yield
    finally:
        folder.chmod(mode)


@contextmanager
def _without_override():
    """Give up root's right to ignore permissions, in this thread."""
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(CAPABILITIES, 0)
    before, without = (ctypes.c_uint32 * 6)(), (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable; twice
    _check(libc.capget(header, before))
    without[:] = before[:]
    without[0] &= ~(1 << DAC_OVERRIDE | 1 << DAC_READ_SEARCH)
    _check(libc.capset(header, without))
    try:
        yield
    finally:
        _check(libc.capset(header, before))


def _check(answer):
    if answer:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

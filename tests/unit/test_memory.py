"""Freed memory that the system gets back."""

from __future__ import annotations

import asyncio
import ctypes
import sys
from pathlib import Path

import pytest

from omnibridge import memory

BLOCK, BLOCKS = 16_384, 4_000


def resident_kb() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
async def test_what_was_freed_between_what_is_kept_goes_back() -> None:
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "malloc_trim"):
        pytest.skip("not glibc")
    libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    libc.free.argtypes = [ctypes.c_void_p]
    large, small = [], []
    for _ in range(BLOCKS):
        large.append(libc.malloc(BLOCK))
        ctypes.memset(large[-1], 1, BLOCK)
        small.append(libc.malloc(100))
    before = resident_kb()
    for each in large:
        libc.free(each)
    assert before - resident_kb() < BLOCK * BLOCKS / 1024 / 2, "the C library does it by itself: this is not needed"

    giving = asyncio.create_task(memory.give_back_for_ever(0.01))
    async with asyncio.timeout(30):
        while before - resident_kb() < BLOCK * BLOCKS / 1024 / 2:
            await asyncio.sleep(0.01)
    giving.cancel()
    for each in small:
        libc.free(each)

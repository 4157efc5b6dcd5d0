"""Waiting is told from being slow."""

from __future__ import annotations

import os
import threading
import time

from gateway.store.disk_wait import DiskWait


def test_work_is_no_waiting() -> None:
    wait = DiskWait(60.0)
    assert not wait.is_long()
    # Some other thread may have held the interpreter: what was no waiting once is enough.
    assert any(not _worked() for _ in range(20))


def _worked() -> bool:
    wait = DiskWait(0.001)
    until = time.perf_counter() + 0.002
    while time.perf_counter() < until:
        pass
    return wait.is_long()


def test_waiting_for_octets_is_waiting() -> None:
    reading, writing = os.pipe()
    wait, patient = DiskWait(0.0), DiskWait(60.0)
    writer = threading.Timer(0.01, os.write, (writing, b"x"))
    writer.start()
    assert os.read(reading, 1) == b"x"
    assert wait.is_long()
    assert not patient.is_long()
    writer.join()
    os.close(reading)
    os.close(writing)

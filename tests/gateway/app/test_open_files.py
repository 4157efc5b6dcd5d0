from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.app.open_files import connections_within, raise_file_limit

ROOT = Path(__file__).resolve().parents[3]
RAISE = """
import resource
from gateway.app.open_files import raise_file_limit
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 200))
print(raise_file_limit(), *resource.getrlimit(resource.RLIMIT_NOFILE))
"""


def test_the_limit_is_raised_as_far_as_it_may_be() -> None:
    told = subprocess.run([sys.executable, "-c", RAISE], cwd=ROOT, capture_output=True, check=True, timeout=60)
    assert told.stdout.split() == [b"200", b"200", b"200"]


def test_a_limit_that_is_high_already_stays() -> None:
    limit = raise_file_limit()
    assert limit == raise_file_limit()
    assert limit <= resource.getrlimit(resource.RLIMIT_NOFILE)[0] or limit == 1 << 20


@pytest.mark.parametrize(
    ("files", "wanted", "admitted"),
    [
        (65_536, 10_000, 10_000),
        (1024, 10_000, 768),
        (200, 10_000, 136),
        (200, 100, 100),
        (10, 100, 1),
    ],
)
def test_some_files_are_kept_from_clients(
    files: int, wanted: int, admitted: int, caplog: pytest.LogCaptureFixture
) -> None:
    assert connections_within(files, wanted) == admitted
    assert ("limits.connections" in caplog.text) is (admitted < wanted)

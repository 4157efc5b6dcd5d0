"""What holds for every test."""

from __future__ import annotations

import os
import sys

# Whoever switches this off must not have each of some hundred gateways that tests start compile itself anew: that took
# a fifth of the time of a run. Set here, it holds for the tests themselves and for every process they start.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

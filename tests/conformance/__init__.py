"""One suite of tests that states what every connector must do.

A connector registers by one test class that inherits `ConnectorSuite` and gives a `rig`; see docs/write-a-connector.md.
"""

import pytest

pytest.register_assert_rewrite(
    "tests.conformance.rig",
    "tests.conformance.base",
    "tests.conformance.reading",
    "tests.conformance.syncing",
    "tests.conformance.writing",
    "tests.conformance.mailboxes",
    "tests.conformance.lifecycle",
)

from __future__ import annotations

import pytest

from gateway.metrics import Gauge, Histogram, Metrics


def test_a_gauge_is_read_when_it_is_asked_for() -> None:
    values = iter([1.0, 2.5])
    gauge = Gauge("imap_gateway_things", "Things.", lambda: next(values))
    assert list(gauge.lines())[-1] == "imap_gateway_things 1"
    assert list(gauge.lines())[-1] == "imap_gateway_things 2.5"


def test_a_histogram_counts_what_is_at_most_each_bound() -> None:
    histogram = Histogram("imap_gateway_delay_seconds", "Delays.", (0.01, 0.05))
    for value in (0.001, 0.01, 0.02, 7.0):
        histogram.observe(value)
    assert list(histogram.lines()) == [
        "# HELP imap_gateway_delay_seconds Delays.",
        "# TYPE imap_gateway_delay_seconds histogram",
        'imap_gateway_delay_seconds_bucket{le="0.01"} 2',
        'imap_gateway_delay_seconds_bucket{le="0.05"} 3',
        'imap_gateway_delay_seconds_bucket{le="+Inf"} 4',
        "imap_gateway_delay_seconds_sum 7.031",
        "imap_gateway_delay_seconds_count 4",
    ]


def test_a_page_ends_with_a_line_end() -> None:
    metrics = Metrics()
    metrics.add(Gauge("imap_gateway_things", "Things.", lambda: 3))
    assert metrics.render() == (
        b"# HELP imap_gateway_things Things.\n# TYPE imap_gateway_things gauge\nimap_gateway_things 3\n"
    )


def test_a_name_is_used_once() -> None:
    metrics = Metrics()
    metrics.add(Gauge("imap_gateway_things", "Things.", lambda: 3))
    with pytest.raises(ValueError, match="imap_gateway_things"):
        metrics.add(Gauge("imap_gateway_things", "Others.", lambda: 4))

"""A stand-in for Microsoft Graph's mail: `FakeGraph`, `GraphOptions`, `running_graph`."""

from tests.fakes.graph.fake import FakeGraph
from tests.fakes.graph.options import GraphOptions, Quirks
from tests.fakes.graph.server import running_graph
from tests.fakes.graph.typings import TypesMissing

__all__ = ["FakeGraph", "GraphOptions", "Quirks", "TypesMissing", "running_graph"]

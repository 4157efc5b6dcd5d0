"""A stand-in for Gmail's API that behaves like the vendor: `FakeGmail`, `FakeOptions`, `running_fake`."""

from tests.fakes.gmail.fake import FakeGmail
from tests.fakes.gmail.options import FakeOptions, Quirks
from tests.fakes.gmail.server import Endpoints, running_fake

__all__ = ["Endpoints", "FakeGmail", "FakeOptions", "Quirks", "running_fake"]

"""The fixtures of the engine's tests, for faults that are injected in the test's own process."""

from tests.engine.conftest import eventually, lead, served

__all__ = ["eventually", "lead", "served"]

"""One whole system for all tests that only talk to it."""

from tests.support.system import system

__all__ = ["system"]

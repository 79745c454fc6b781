"""Mirrors `SignalProfileSnapshot.from_dict(payload)` and `.to_dict()`: the wrapper's class has the same payload."""

from wrapper import SignalProfileSnapshot

__all__ = ["SignalProfileSnapshot"]

"""Signal profile snapshots: the command `wrapper`, and the snapshot's type and hash for Python consumers."""

from wrapper.snapshot import LinkStat, SignalProfileSnapshot, TagStat

__all__ = ["LinkStat", "SignalProfileSnapshot", "TagStat"]

"""How numbers are worded."""


def counted(count: int, noun: str) -> str:
    """Return the count with its noun, which is in the plural unless the count is one."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"

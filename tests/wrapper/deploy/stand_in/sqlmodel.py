"""WhiteBalloon's Session is SQLModel's, a subclass of this one."""

from sqlalchemy.orm import Session

__all__ = ["Session"]

"""WhiteBalloon's services."""

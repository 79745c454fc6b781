"""Why a bio is fresh or must be rewritten, in words; the reasons are those of signal_profile_highlight_freshness."""

WORDS = {
    "never-glazed": "The member has no bio yet",
    "new-messages": "The member has written since",
    "snapshot-mismatch": "The snapshot has changed since",
    "marked-stale": "WhiteBalloon marked the bio as stale",
    "stale-after": "The bio has expired",
    "group-left": "The member has no messages any more in the group that the bio was written from",
    "up-to-date": "The bio matches the snapshot",
    "manual-override": "A person wrote the bio",
    "no-snapshot": "The member has no messages to write from",
}

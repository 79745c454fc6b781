"""Print three of the snapshots that `wrapper export` writes to standard input, as a person would like to read them.

Usage: wrapper export | python examples/show_snapshots.py
"""

import itertools
import json
import sys
from collections.abc import Mapping
from typing import Any

SHOWN = 3


def counted(counts: Mapping[str, int]) -> str:
    """Write counts by how many there are, then by name."""
    return ", ".join(f"{key} {count}" for key, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def page(snapshot: dict[str, Any], snapshot_hash: str) -> str:
    """Write one snapshot as a short page."""
    first, last = snapshot["first_seen_at"][:10], snapshot["last_seen_at"][:10]
    lines = [
        f"Member {snapshot['user_id']} in {snapshot['group_slug']}",
        f"  {snapshot['message_count']} messages from {first} to {last}",
    ]
    links = [f"{link['count']}x {link['url']}" for link in snapshot["top_links"]]
    lines += [f"  {'links' if number == 0 else '     '}        {link}" for number, link in enumerate(links)]
    if snapshot["top_tags"]:
        lines.append("  tags         " + ", ".join(f"{tag['label']} {tag['count']}" for tag in snapshot["top_tags"]))
    if snapshot["reaction_counts"]:
        lines.append("  reactions    " + counted(snapshot["reaction_counts"]))
    if snapshot["attachment_counts"]:
        lines.append("  attachments  " + counted(snapshot["attachment_counts"]))
    lines.append("  requests     " + ", ".join(map(str, snapshot["request_ids"])))
    lines.append(f"  hash         {snapshot_hash}")
    return "\n".join(lines)


def main() -> None:
    """Show the first of each of the first groups there are."""
    seen: set[str] = set()
    rows = (json.loads(line) for line in sys.stdin)
    fresh = (row for row in rows if row["snapshot"]["group_slug"] not in seen)
    for row in itertools.islice(fresh, SHOWN):
        seen.add(row["snapshot"]["group_slug"])
        print("\n" + page(row["snapshot"], row["snapshot_hash"]))


if __name__ == "__main__":
    main()

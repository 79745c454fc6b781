"""In reactions, every emoji counts."""

from pathlib import Path

import emoji

from tests.wrapper.compiled import compile_sql, run_on_texts
from tests.wrapper.servers import Server

IS_EMOJI = "select position, {{ is_emoji('body') }} from texts order by position"


def test_every_emoji_of_the_emoji_package_counts(server: Server, tmp_path: Path) -> None:
    """The rule counts any qualification: fully qualified, minimally qualified, unqualified and components."""
    url = server.create_database("emoji")
    words = list(emoji.EMOJI_DATA)
    fully_qualified = [word for word in words if emoji.EMOJI_DATA[word]["status"] == emoji.STATUS["fully_qualified"]]
    assert len(fully_qualified) > 3000
    rows = run_on_texts(url, compile_sql(IS_EMOJI, tmp_path, url), words)
    assert [words[int(str(position))] for position, counts in rows if not counts] == []

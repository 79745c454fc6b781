"""Reading a body or a tag text takes linear time, whatever the text repeats.

At these sizes, quadratic work would take most of an hour, and the guards stop it.
"""

from collections.abc import Callable, Iterator

import pytest

from tests.wrapper.conftest import Wrapper
from tests.wrapper.faults.messages import Messages
from tests.wrapper.servers import Server
from tests.wrapper.whiteballoon import WhiteBalloon

Patterns = dict[str, Callable[[int], str]]

_GUARD_SECONDS = 120
# Shorter times say nothing about growth.
_MEASURABLE_SECONDS = 0.02


def repeated(unit: str, start: str = "", end: str = "") -> Callable[[int], str]:
    """Repeat a unit up to any length."""
    return lambda length: start + unit * (length // len(unit)) + end


def stretches(unit: str, start: str = "") -> Callable[[int], str]:
    """Fill any length with the longest stretches that may hold a link."""
    stretch = (start + unit * 8192)[:8192] + " "
    return lambda length: stretch * (length // len(stretch))


# Bodies that attack the searches in a whole body.
BODIES: Patterns = {
    "open brackets in one stretch": repeated("(", "https://a.example/"),
    "schemes in one stretch": repeated("https://"),
    "@ in one stretch": repeated("@", "https://"),
    "user info in one stretch": repeated("a@", "https://"),
    "white space": repeated(" \t\n\r\f\v", "https://a.example", "(Reactions: A 👍)"),
    "white space at both ends": lambda length: " \n" * (length // 4) + "x" + " \n" * (length // 4),
    "quotes": repeated("> ", "", "\n(Reactions: A 👍)"),
    "quoted lines": repeated("> a\n", "", "\n[attachments: a.png]\n(Reactions: A 👍)"),
    "a reactions line that does not end": repeated("x", "(Reactions: "),
    "a reactions line of one word": repeated("x", "(Reactions: ", ")"),
    "a reactions line of words": repeated("x ", "(Reactions: ", "👍)"),
    "a reactions line of white space": repeated(" \t", "(Reactions: x", "👍)"),
    "a reactions line of commas": repeated(",", "(Reactions: ", ")"),
    "a reactions line of entries": repeated("A 👍,", "(Reactions: ", ")"),
    "reactions lines": repeated("(Reactions: A 👍)\n"),
    "beginnings of reactions lines": repeated("(Reactions: ", "", ")"),
    "emoji": repeated("👍", "(Reactions: ", ")"),
    "emoji and a letter": repeated("👍", "(Reactions: ", "x)"),
    "joined emoji": repeated("👩\u200d", "(Reactions: ", ")"),
    "joined emoji and a letter": repeated("👩\u200d", "(Reactions: ", "x)"),
    "keycaps": repeated("1\ufe0f\u20e3", "(Reactions: ", ")"),
    "digits": repeated("1", "(Reactions: ", ")"),
    "an attachments line of commas": repeated(",", "[attachments: ", "]"),
    "an attachments line of dots": repeated(".", "[attachments: ", "]"),
    "an attachments line of names": repeated("a.png,", "[attachments: ", "]"),
    "attachments lines": repeated("[attachments: a.png]\n"),
    "beginnings of attachments lines": repeated("[attachments: ", "", "]"),
}

# Bodies that attack the searches in a stretch, which cost most in a stretch of the greatest length.
STRETCHES: Patterns = {
    "links": lambda length: "https://a.example/ " * (length // 19),
    "open brackets": stretches("(", "https://a.example/"),
    "brackets of each kind": stretches("([{\"'", "https://a.example/"),
    "pairs of quotation marks": stretches("'a", "https://a.example/"),
    "full stops": stretches(".", "https://a.example/"),
    "marks": stretches("!?,;-", "https://a.example/"),
    "parameters": stretches("&", "https://a.example/?"),
    "tracking parameters": stretches("utm_=&", "https://a.example/?"),
    "schemes": stretches("https://"),
    "schemes with a host": stretches("(http://a"),
    "schemes in the host": stretches("a.http:", "http://"),
    "labels": stretches("a.", "https://"),
    "labels of hyphens": stretches("a-", "https://"),
    "punycode": stretches("xn--", "https://"),
    "@": stretches("@", "https://"),
    "user info": stretches("a@", "https://"),
    "schemes with user info": stretches("https://a@"),
    "ports": stretches(":1", "https://a"),
    "no scheme": stretches("://"),
}

TAGS: Patterns = {
    "commas": repeated(","),
    "entries": repeated("a,"),
    "white space": repeated(" \t"),
    "open brackets": repeated("["),
    "open brackets behind white space": repeated(" ", "", "["),
    "escaped quotation marks": repeated('"\\\\"'),
    "an array of strings": repeated('"a",', "[", '"b"]'),
    "brackets in a string": repeated("[", '["', '"]'),
    "escapes in a string": repeated("\\u0000\\ud800", '["', '"]'),
    "a string without an end behind many brackets": repeated('\\"', "[" * 501 + '"'),
    "strings behind many brackets": repeated('"\\\\"', "[" * 501),
    "a number": repeated("9", "[", "]"),
}


@pytest.fixture(scope="module")
def messages(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Messages]:
    opened = Messages(server.create_database("cost"), tmp_path_factory.mktemp("target"))
    opened.cursor.execute(f"set statement_timeout = '{_GUARD_SECONDS}s'")
    yield opened
    opened.close()


@pytest.fixture
def growth(messages: Messages, amount: Callable[[int, int], int]) -> Callable[[Patterns, int, bool], str]:
    """Time each pattern at a quarter of a length and at all of it; describe the slowest and the fastest-growing."""

    def seconds(text: str, is_tags: bool) -> float:
        messages.fill(["" if is_tags else text], [text if is_tags else ""])
        # The shortest of several times was disturbed least.
        return min(messages.seconds() for _ in range(amount(1, 3)))

    def measure(patterns: Patterns, length: int, is_tags: bool) -> str:
        found = []
        for name, make in patterns.items():
            quarter, whole = seconds(make(length // 4), is_tags), seconds(make(length), is_tags)
            found.append((whole, whole / quarter if quarter > _MEASURABLE_SECONDS else 0.0, name))
        slowest, fastest_growing = max(found), max(found, key=lambda entry: entry[1])
        return ", ".join(
            f"{what} {name!r}: {whole:.2f} s for {length / 1e6:g} M characters, {factor:.1f} times a quarter's"
            for what, (whole, factor, name) in (("slowest", slowest), ("growing most", fastest_growing))
        )

    return measure


def test_search_of_repetitive_bodies_takes_linear_time(
    growth: Callable[[Patterns, int, bool], str],
    amount: Callable[[int, int], int],
    record_property: Callable[[str, object], None],
) -> None:
    record_property(f"cost of {len(BODIES)} bodies", growth(BODIES, amount(1_000_000, 4_000_000), False))


def test_search_of_the_longest_stretches_takes_linear_time(
    growth: Callable[[Patterns, int, bool], str],
    amount: Callable[[int, int], int],
    record_property: Callable[[str, object], None],
) -> None:
    record_property(f"cost of {len(STRETCHES)} bodies", growth(STRETCHES, amount(100_000, 1_000_000), False))


def test_sql_on_repetitive_tag_texts_takes_linear_time(
    growth: Callable[[Patterns, int, bool], str],
    amount: Callable[[int, int], int],
    record_property: Callable[[str, object], None],
) -> None:
    record_property(f"cost of {len(TAGS)} tag texts", growth(TAGS, amount(1_000_000, 4_000_000), True))


def test_load_of_repetitive_tag_texts_takes_linear_time(
    wrapper: Wrapper, whiteballoon: WhiteBalloon, amount: Callable[[int, int], int]
) -> None:
    for make in TAGS.values():
        whiteballoon.comment(1, "x", tags=[make(amount(1_000_000, 4_000_000)), None, None])
    loading = wrapper.start("load")
    try:
        loading.communicate(timeout=_GUARD_SECONDS)
    finally:
        loading.kill()
    assert loading.returncode == 0

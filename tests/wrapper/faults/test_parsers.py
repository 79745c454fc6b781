"""The models read whole bodies as the rules say; as many bodies are tried as time allows."""

import itertools
import time
from collections import Counter
from collections.abc import Callable, Iterator

import emoji
import pytest
from hypothesis import HealthCheck, Phase, example, given, seed, settings
from hypothesis import strategies as st

from tests.wrapper.faults.messages import Messages, Parsed
from tests.wrapper.faults.reference import read
from tests.wrapper.rules.test_links import HAND_PICKED as LINKS
from tests.wrapper.rules.test_links import PIECES as LINK_PIECES
from tests.wrapper.servers import Server

HAND_PICKED = [
    *LINKS, "", " \n\t", "(no text)", "(Reactions: )", "(Reactions:  )", "(Reactions: x)", "(Reactions: 👍)",
    "[attachments: ]", "[attachments:  ]", "[attachments: a]", "[attachments: a.png]\n(Reactions: A 👍)",
    "(Reactions: A 👍)\n[attachments: a]", "[attachments: a.png]\n\n(Reactions: A 👍)",
    "[attachments: a.png]\n(Reactions: )", "[attachments: a]\r\n(Reactions: A 👍)\r\n",
    "(Reactions: A 👍)\n(Reactions: B 🎉)", "(Reactions: A 👍) x", "x (Reactions: A 👍)", "> (Reactions: A 👍)",
    "(Reactions: A 👍))", "(Reactions: A 👍\n)", "(Reactions: A\xa0👍)", "(Reactions: A\v👍\f,\r👍)",
    "(Reactions: A 👍,B ❤,C ❤️,D 7,E 7️⃣,F +1,G ok)",
    "(Reactions: A \u200d,B \ufe0f,C \ufe10,D \u20e3,E \U000e0020,F \U000e001f,G 👍x,H x👍,I 👍👍)",
    "[attachments: ,, ,a.ſvg,a.mKv,.png,png.]", "[attachments: a.MKV,b.tar.gz,c. png,d.png ,e.PNG\t,f.p.n.g]",
    "https://a.example/?utm_x&UTM_y=1&utm%5Fz&a=1&&b=&fbclid#c?d",
    "https://u:p@www.www.A.example:443?x#y HTTP://a.example:443 http://a.example:80/ https://a.example:0443/ https://a.example:",
    "https://u?p@a.example/ https://u:p?w@a.example/ https://u#p@a.example https://a.example?&utm_a=1& http://www.",
    "https://a.www.example", "(Reactions: https://a.example/, A 👍)", "[attachments: https://a.example/x.png]",
]  # fmt: skip

_BATCH = 50
_CHECKS = list(HealthCheck)
_WHITE_SPACE = st.sampled_from(["", "", "", " ", "\n", "\t", "\r", "\f", "\v", "\r\n", "\xa0", "\u2028", "\x85"])
_ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6)


def mostly(usual: str, *others: str) -> st.SearchStrategy[str]:
    return st.sampled_from([usual] * 5 * len(others) + list(others))


def joined(*parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.tuples(*parts).map("".join)


def pieces(*texts: str, most: int = 8) -> st.SearchStrategy[str]:
    return st.lists(st.sampled_from(texts), max_size=most).map("".join)


_WORD = st.one_of(
    st.sampled_from(list(emoji.EMOJI_DATA)),
    pieces(*"👍 ❤ ❤️ 1 1️⃣ # 🇵 🇷 🏽 © 7 + x é ! .".split(), "\u200d", "\ufe0e", "\ufe10", "\u20e3", "\U000e0067", most=3),
)
_ENTRY = st.one_of(
    joined(_ANY_TEXT, mostly(" ", "", "\n", "\t", "\xa0"), _WORD, _WHITE_SPACE),
    joined(mostly("Ana María ", "Smith", "Jr. ", "(Reactions: ", "", " "), _WORD),
)
_NAME = st.one_of(
    pieces(*".png .PNG .tar.gz clip . .mkv .mKv .ſvg .7z .md https://a.example/x.jpg ] ) (".split(), " ", "\t", most=3),
    joined(_ANY_TEXT, st.sampled_from([".pdf", ".opus", ".", "", ".m4a "])),
)
_REACTIONS = joined(
    mostly("(Reactions: ", "(Reactions:", "(reactions: ", " (Reactions: ", "> (Reactions: ", "("),
    st.lists(_ENTRY, max_size=4).map(",".join),
    mostly(")", "", ") ", "))", ").", "]", ")\r"),
)
_ATTACHMENTS = joined(
    mostly("[attachments: ", "[attachments:", "[Attachments: ", "\t[attachments: ", "["),
    st.lists(_NAME, max_size=4).map(",".join),
    mostly("]", "", "] ", "]]", ")", "]\n", "]\r"),
)
_LINK = joined(
    st.sampled_from(["http://", "https://", "HTTPS://", "(https://", "x http://", "https://u:p@", "http://www."]),
    mostly(
        "a.example",
        "A.Example:80",
        "b.example:443",
        "é.example",
        "a.www.example",
        "www.a.example:8080",
        "u@b@c.example",
    ),
    st.sampled_from(["", "/", "/x", "?", "/(y)", "/?", "#"]),
    pieces(*"utm_a=1 UTM_b fbclid= igsh & && = ? # a b=2 utm%5Fc / ' \" ( ) . , é @ http://b.example".split(), most=6),
)
_TEXT = st.one_of(_ANY_TEXT, _LINK, pieces(*LINK_PIECES, most=12), joined(_LINK, pieces(*LINK_PIECES, most=3)))
_LINE = st.one_of(_TEXT, joined(st.just("> "), _TEXT), _REACTIONS, _ATTACHMENTS)
BODIES = st.one_of(
    joined(_TEXT, _WHITE_SPACE, _LINK, _WHITE_SPACE),
    joined(_TEXT, mostly("\n\n", "\n", ""), _REACTIONS, _WHITE_SPACE),
    joined(_TEXT, mostly("\n\n", "\n", ""), _ATTACHMENTS, _WHITE_SPACE),
    joined(_TEXT, mostly("\n\n", "\n", ""), _ATTACHMENTS, mostly("\n", "\n\n", " ", ""), _REACTIONS, _WHITE_SPACE),
    st.lists(_LINE, max_size=4).map("\n".join),
)  # fmt: skip

# Without `unique`, hypothesis repeats most of what it has tried.
BATCHES = st.lists(BODIES, min_size=_BATCH, max_size=_BATCH, unique=True)


@pytest.fixture(scope="module")
def messages(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Messages]:
    opened = Messages(server.create_database("parsers"), tmp_path_factory.mktemp("target"))
    yield opened
    opened.close()


def readings(messages: Messages, bodies: list[str]) -> list[tuple[str, Parsed, Parsed]]:
    """Return each body with what the models read in it and what the rules say."""
    return [(body, found, read(body)) for body, found in zip(bodies, messages.parse(bodies), strict=True)]


def different(compared: list[tuple[str, Parsed, Parsed]]) -> list[tuple[str, Parsed, Parsed]]:
    return [(body, found, expected) for body, found, expected in compared if found != expected]


def test_bodies_of_a_fixed_selection_are_read_as_the_rules_say(messages: Messages) -> None:
    @settings(max_examples=10, deadline=None, database=None, derandomize=True, suppress_health_check=_CHECKS)
    @example(HAND_PICKED)
    @given(BATCHES)
    def check(bodies: list[str]) -> None:
        assert different(readings(messages, bodies)) == []

    check()


def test_random_bodies_until_a_deadline_are_read_as_the_rules_say(
    messages: Messages, amount: Callable[[int, int], int], record_property: Callable[[str, object], None]
) -> None:
    """The short version starts with the same bodies each time, the full one with different bodies."""
    seconds = amount(5, 240)
    deadline = time.monotonic() + seconds
    tried: set[int] = set()
    held: Counter[str] = Counter()
    differences: list[tuple[str, Parsed, Parsed]] = []

    @settings(max_examples=20, deadline=None, database=None, phases=[Phase.generate], suppress_health_check=_CHECKS)
    @given(BATCHES)
    def attack(bodies: list[str]) -> None:
        if time.monotonic() < deadline:
            compared = readings(messages, bodies)
            differences.extend(different(compared))
            for body, _, expected in compared:
                if hash(body) not in tried:
                    tried.add(hash(body))
                    held.update(name for name, value in vars(expected).items() if value)

    rounds = itertools.count(amount(1, int(time.time())))
    while time.monotonic() < deadline:
        seed(next(rounds))(attack)()
    record_property(
        "bodies read",
        f"{len(tried)} different ones in {seconds} s, {held['links']} with links, {held['reactions']} with reactions, "
        f"{held['attachments']} with attachments: {len(differences)} differences",
    )
    assert differences == []

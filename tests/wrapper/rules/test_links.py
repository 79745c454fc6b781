"""In thousands of texts, the SQL finds the links that linkify-it-py finds."""

import random
from collections import defaultdict
from collections.abc import Callable

import pytest
from linkify_it import LinkifyIt

from tests.wrapper.compiled import compile_sql, run_on_texts
from tests.wrapper.servers import Server

LONGEST_STRETCH = 8192
_WHITE_SPACE = " \t\n\r\f\v"

LINKS = """
select texts.position, found.groups[1]
from (select * from texts) as texts
cross join lateral {{ tokens_in('texts.body') }} as token (token, token_position)
cross join lateral {{ links_in('token.token') }} with ordinality as found (groups, match_position)
where found.groups[1] is not null
order by texts.position, token.token_position, found.match_position
"""

PIECES = """
http:// https:// HTTP:// httP: https: // a b.c example.com x-y xn--abc-d xn--a- www. _ - -- --- . .. ... , ,, ; ! !! ?
?? / /p # & = %20 @ u:p@ ~ + : :80 :99999 :65535 :65536 :1 :12a ' 'a' " "q" ( ) [ ] { } < > ｜ … * ** | \\ ` ^ $ é
漢字 😀 。 ſ K İ httpſ: １２ :１ ٣ http https 0 9 Z localhost 192.168.0.1
""".split()
PIECES += [" ", "\n", "\t", "\xa0", "\u2028", "\u200b", "\ufeff", "\x7f", "\x85", "\u0301", "\u212a"]
PIECES += ["a" * 64, "b" * 63, "c" * 51 + "@", "d" * 49 + "@"]

HAND_PICKED = [
    "https://example.org/a.", "(https://example.org/a)", "https://example.org/a_(b)_c", "https://example.org/a_(b",
    "see https://example.org, then", "https://example.org/?a=1&b=2#c", "https://example.org/@user/~x+y", "http:/a.b",
    "https://user:pass@example.org:8080/x", "https://example.org:99999/", "https://example.org:65535/", "http://a",
    "<https://example.org/a>", "[t](https://example.org/a)", "**https://example.org/a**", "https://example.org/…",
    "https://example.org/'quoted'", "https://example.org/it's", "https://example.org/'a'.b'", "https://example.org/\"q\"",
    "https://example.org/a..b/...", "https://example.org/wow!!", "https://example.org/wow!x", "https://example.org/??",
    "https://example.org/--x--", "https://münchen.example/straße", "https://xn--mnchen-3ya.example", "https://a_b.example",
    "https://-a.example", "https://a-.example", "https://" + "a" * 63 + ".example", "https://" + "a" * 64 + ".example",
    "http:http://a.example", "xhttp:http://a.example", "http://http:http://a.example", "http://a.http:http://b.example",
    "http://http://a.example/http://b.example", "http://a.example@http://b.example", "https://ana@", "https://ana@b@c",
    "httpſ:http://a.example", "ftp://a.example http://b.example", "//a.example", "mailto:a@b.example", "www.a.example",
    "http://a.example:１２/", "http://a.example\xa0http://b.example", "http://a.example｜http://b.example", "https://",
    "http://[::1]/", "http://1.2.3.4:80/x", "http://localhost", "_http://a.example", "-http://a.example", "",
    "x" * 8192 + " http://a.example", "http://" + "a." * 4000 + "b", "http://a.example/" + "(" * 8000,
]  # fmt: skip


def expected_links(text: str) -> list[str]:
    """Return the library's matches, except those followed by @ and those in too long a stretch, as the rule says."""
    linkify = LinkifyIt(
        {"ftp:": None, "//": None, "mailto:": None}, {"fuzzy_link": False, "fuzzy_email": False, "fuzzy_ip": False}
    )
    links = []
    for match in linkify.match(text) or []:
        start = max(text.rfind(character, 0, match.index) for character in _WHITE_SPACE) + 1
        end = min((i for i in (text.find(c, match.index) for c in _WHITE_SPACE) if i >= 0), default=len(text))
        if text[match.last_index : match.last_index + 1] != "@" and end - start <= LONGEST_STRETCH:
            links.append(match.raw)
    return links


@pytest.fixture(scope="module")
def found_links(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Callable[[list[str]], list[list[str]]]:
    url = server.create_database("links")
    sql = compile_sql(LINKS, tmp_path_factory.mktemp("target"), url)

    def find(texts: list[str]) -> list[list[str]]:
        found = defaultdict(list)
        for position, link in run_on_texts(url, sql, texts):
            found[position].append(str(link))
        return [found[position] for position in range(len(texts))]

    return find


def differences(texts: list[str], found: list[list[str]]) -> list[tuple[str, list[str], list[str]]]:
    return [
        (text, links, expected_links(text))
        for text, links in zip(texts, found, strict=True)
        if links != expected_links(text)
    ]


def test_links_in_hand_picked_texts_are_those_of_linkify_it(
    found_links: Callable[[list[str]], list[list[str]]],
) -> None:
    assert differences(HAND_PICKED, found_links(HAND_PICKED)) == []


def test_links_in_generated_texts_are_those_of_linkify_it(found_links: Callable[[list[str]], list[list[str]]]) -> None:
    rng = random.Random(20260118)
    starts = ["", " ", "(", "_", ">", '"', ".", "x"]
    texts = [
        rng.choice(starts)
        + rng.choice(["http://", "https://", "http://a.b", "http://example.com/", ""])
        + "".join(rng.choices(PIECES, k=rng.randint(1, 14)))
        for _ in range(6000)
    ]
    found = found_links(texts)
    assert sum(map(len, found)) > 1500
    assert differences(texts, found) == []


def test_links_in_a_stretch_longer_than_8192_characters_are_not_found(
    found_links: Callable[[list[str]], list[list[str]]],
) -> None:
    def stretch(length: int) -> str:
        return "a\u00a0" + "http://a.example/".ljust(length - 2, "x")

    texts = [stretch(LONGEST_STRETCH), stretch(LONGEST_STRETCH + 1)]
    assert [len(links) for links in found_links(texts)] == [1, 0]
    assert differences(texts, found_links(texts)) == []

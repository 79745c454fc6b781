"""The ranges of macros/text/unicode_classes.sql are those of the packages they come from."""

import re
from collections.abc import Iterable
from pathlib import Path

import emoji
import pytest
from linkify_it import _ucre_data

from tests.wrapper.compiled import compile_sql
from tests.wrapper.servers import Server

_ANY = [code for code in range(1, 0x110000) if not 0xD800 <= code <= 0xDFFF]
_JOINERS = {0x200D, 0x20E3, *range(0xFE00, 0xFE10), *range(0xE0020, 0xE0080)}


def matched_by(pattern: str) -> set[int]:
    matches = re.compile(pattern).fullmatch
    return {code for code in _ANY if matches(chr(code))}


def as_ranges(codes: Iterable[int]) -> str:
    """Write code points as macros/text/unicode_classes.sql does."""
    runs: list[list[int]] = []
    for code in sorted(codes):
        if runs and runs[-1][1] == code - 1:
            runs[-1][1] = code
        else:
            runs.append([code, code])
    return "".join(_escape(a) + ("-" if b > a + 1 else "") + (_escape(b) if b > a else "") for a, b in runs)


def _escape(code: int) -> str:
    return f"\\u{code:04X}" if code < 0x10000 else f"\\U{code:08X}"


@pytest.mark.parametrize(
    ("macro", "codes"),
    [
        ("unicode_separators", matched_by(_ucre_data.SRC_Z)),
        ("unicode_controls", matched_by(_ucre_data.SRC_CC)),
        ("unicode_punctuation", matched_by(_ucre_data.SRC_P) - {ord("_")}),
        ("unicode_emoji", {ord(character) for word in emoji.EMOJI_DATA for character in word} - _JOINERS),
    ],
)
def test_unicode_ranges_are_those_of_their_package(server: Server, tmp_path: Path, macro: str, codes: set[int]) -> None:
    compiled = compile_sql(f"select '{{{{ {macro}() }}}}'", tmp_path, server.url("postgres"))
    assert compiled == f"select '{as_ranges(codes)}'"


def test_unicode_digits_are_among_those_of_this_python(server: Server, tmp_path: Path) -> None:
    """Each Python knows the digits of its own Unicode version; the macro has those of the oldest supported one."""
    compiled = compile_sql("select '{{ unicode_digits() }}'", tmp_path, server.url("postgres"))
    inside = compiled.removeprefix("select '").removesuffix("'")
    digits = matched_by(f"[{inside}]")
    assert len(digits) == 660
    assert digits <= matched_by(r"\d")

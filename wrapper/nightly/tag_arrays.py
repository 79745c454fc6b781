"""The JSON arrays in tag columns; PostgreSQL 15 cannot tell whether a text is JSON."""

import functools
import json
import re
from typing import Final

_NULL: Final = rb"\N"
# Strings alone, without escapes, as nearly all are.
_PLAIN = re.compile(rb'\[(?:"[^"\\\x00-\x1f]*"(?:, ?"[^"\\\x00-\x1f]*")*)?\]')
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPED = {"t": "\t", "n": "\n", "r": "\r"}
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
# Python's own limit differs by version. Texts nested deeper than this count as arrays without labels.
_DEEPEST = 500
# An unterminated string extends to the end of the text; scanning it again would take quadratic time.
_STRING_OR_BRACKET = re.compile(r'"(?:[^"\\]|\\.)*+"?|[\[\]{}]', re.DOTALL)


# Most texts come again and again.
@functools.lru_cache(maxsize=2**16)
def json_array(value: bytes) -> bytes:
    r"""Return the JSON array in a tag column's text, with null for entries that are not strings; `\N` for other texts.

    Both are values in the text form of Postgres's COPY.
    """
    if value == _NULL or _PLAIN.fullmatch(value):
        return value
    text = _ESCAPE.sub(lambda escape: _ESCAPED.get(escape[1], escape[1]), value.decode())
    if not text.lstrip(" \t\r\n").startswith("["):
        return _NULL
    if _nesting(text) > _DEEPEST:
        return b"[]"
    try:
        entries = _ARRAYS.decode(text)
    except ValueError:
        return _NULL
    labels = [
        _UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", entry) if isinstance(entry, str) else None for entry in entries
    ]
    # ASCII JSON contains no control characters, so only backslashes need COPY's escape.
    return json.dumps(labels).replace("\\", r"\\").encode()


def _nesting(text: str) -> int:
    """Return how deeply brackets outside strings are nested."""
    depth = deepest = 0
    if text.count("[") + text.count("{") > _DEEPEST:
        for match in _STRING_OR_BRACKET.finditer(text):
            depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(match[0], 0)
            deepest = max(deepest, depth)
    return deepest


def _unread(_: str) -> None:
    return None


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


# Numbers are not parsed: no rule needs them, and Python and Postgres have different limits.
_ARRAYS = json.JSONDecoder(parse_int=_unread, parse_float=_unread, parse_constant=_refuse)

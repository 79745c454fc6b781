"""A second implementation of docs/rules.md for bodies, in Python and independent of the project's SQL."""

import re
from collections import Counter

import emoji

from tests.wrapper.faults.messages import Parsed
from tests.wrapper.rules.test_links import expected_links

_WHITE_SPACE = " \t\n\r\f\v"
_LOWER = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")
_TRACKING = set(
    "fbclid gclid dclid gbraid wbraid msclkid yclid twclid ttclid igsh igshid mc_cid mc_eid _hsenc _hsmi".split()
)
# RFC 3986, appendix B, for a text that has a scheme and an authority.
_URL = re.compile(r"([^:/?#]+)://([^/?#]*)([^?#]*)(?:\?([^#]*))?(?:#.*)?", re.DOTALL)
_HOST_AND_PORT = re.compile("([^:@]+)(?::([0-9]+))?")
_DEFAULT_PORTS = {"http": "80", "https": "443"}
_KINDS = {
    "image": "png jpg jpeg gif webp heic heif avif bmp tif tiff svg",
    "video": "mp4 mov avi m4v webm mkv 3gp mpg mpeg",
    "audio": "m4a mp3 aac ogg oga opus wav flac amr",
    "document": "pdf doc docx xls xlsx ppt pptx odt ods odp rtf txt csv md pages numbers key epub",
}
_KIND_OF = {extension: kind for kind, extensions in _KINDS.items() for extension in extensions.split()}
_EMOJI = {character for word in emoji.EMOJI_DATA for character in word} | set(
    map(chr, [0x200D, 0x20E3, *range(0xFE00, 0xFE10), *range(0xE0020, 0xE0080)])
)


def read(body: str) -> Parsed:
    """Return what a body holds."""
    urls = Counter(url for url in map(canonical, expected_links(body)) if url is not None)
    attachments, reactions = closing_lines(body)
    return Parsed(
        # A Counter keeps the order in which its keys were added.
        [(url, domain, count) for (url, domain), count in urls.items()],
        Counter(word for entry in reactions.split(",") if is_emoji(word := last_word(entry))),
        Counter(kind(name) for entry in attachments.split(",") if (name := entry.strip(_WHITE_SPACE))),
    )


def canonical(link: str) -> tuple[str, str] | None:
    """Return a link's canonical URL and its domain, or None if its authority is not a host with an optional port."""
    parts = _URL.fullmatch(link)
    assert parts is not None
    scheme, authority, path, query = parts.groups()
    scheme = scheme.translate(_LOWER)
    host_and_port = _HOST_AND_PORT.fullmatch(authority.rpartition("@")[2].translate(_LOWER))
    if host_and_port is None:
        return None
    host, port = host_and_port.groups()
    kept = "&".join(parameter for parameter in (query or "").split("&") if not is_tracking(parameter))
    return (
        f"{scheme}://{host}"
        + (f":{port}" if port is not None and port != _DEFAULT_PORTS[scheme] else "")
        + (path or "/")
        + (f"?{kept}" if kept else ""),
        host.removeprefix("www."),
    )


def is_tracking(parameter: str) -> bool:
    name = parameter.partition("=")[0].translate(_LOWER)
    return name in _TRACKING or name.startswith("utm_")


def closing_lines(body: str) -> tuple[str, str]:
    """Return the contents of the closing attachments line and of the closing reactions line."""
    lines = [line.strip(_WHITE_SPACE) for line in body.strip(_WHITE_SPACE).split("\n")]
    reactions = inside("(Reactions: ", lines[-1], ")")
    if reactions:
        lines.pop()
    return inside("[attachments: ", lines[-1], "]") if lines else "", reactions


def inside(start: str, line: str, end: str) -> str:
    has_form = line.startswith(start) and line.endswith(end) and len(line) > len(start) + len(end)
    return line[len(start) : -len(end)] if has_form else ""


def last_word(text: str) -> str:
    return re.split(f"[{_WHITE_SPACE}]", text.rstrip(_WHITE_SPACE))[-1]


def is_emoji(word: str) -> bool:
    return not word.isascii() and _EMOJI.issuperset(word)


def kind(name: str) -> str:
    _, dot, extension = name.rpartition(".")
    return _KIND_OF.get(extension.translate(_LOWER), "other") if dot else "other"

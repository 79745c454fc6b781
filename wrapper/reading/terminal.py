"""Tables, bars and cards on a terminal, plain where there is none. Imported only by commands that show something."""

import sys
import unicodedata
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

_BAR_WIDTH = 24
# Piped, a row stays one line, however long what somebody wrote is.
_PIPED_WIDTH = 10_000_000
_FIRST_STRONG_ISOLATE, _POP_ISOLATE = "\N{FIRST STRONG ISOLATE}", "\N{POP DIRECTIONAL ISOLATE}"


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """End as every command does if its reader leaves; rich would exit with 1."""
        raise


def console() -> Console:
    """Return a console on stdout: with colours and frames on a terminal, without them in a pipe or a file."""
    piped = not sys.stdout.isatty()
    width = _PIPED_WIDTH if piped else None
    return _Console(
        file=sys.stdout,
        force_terminal=not piped,
        highlight=False,
        markup=False,
        emoji=False,
        soft_wrap=piped,
        width=width,
    )


def safe(value: str) -> Text:
    """Return what somebody wrote so that it cannot steer the terminal or turn the text around it.

    Control characters become U+FFFD; on a terminal it stands in an isolate of its own direction.
    """
    shown = "".join("\N{REPLACEMENT CHARACTER}" if _steers(character) else character for character in value)
    if sys.stdout.isatty() and any(unicodedata.bidirectional(character) in {"R", "AL"} for character in shown):
        shown = f"{_FIRST_STRONG_ISOLATE}{shown}{_POP_ISOLATE}"
    return Text(shown)


def table(
    columns: Sequence[str], rows: Sequence[Sequence[str | Text]], right: Sequence[str] = (), wrap: Sequence[str] = ()
) -> Table:
    """Return a table, the columns in `right` aligned there; on a terminal those in `wrap` may need several lines."""
    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in columns:
        no_wrap = name not in wrap or not sys.stdout.isatty()
        made.add_column(name, justify="right" if name in right else "left", no_wrap=no_wrap, overflow="fold")
    for row in rows:
        made.add_row(*row)
    return made


def grid(*rows: Sequence[str | Text]) -> Table:
    """Return columns without headings."""
    made = Table.grid(padding=(0, 2, 0, 0))
    for _ in rows[0]:
        made.add_column(overflow="fold")
    for row in rows:
        made.add_row(*row)
    return made


def bars(console: Console, counts: Mapping[str, int], style: str) -> Table:
    """Return a bar in this colour for each count, the longest half as wide as a narrow terminal."""
    most, widest = max(counts.values(), default=0), min(_BAR_WIDTH, console.width // 2)
    return grid(
        *(
            (safe(label), Text(str(count), justify="right"), Text("█" * max(round(widest * count / most), 1), style))
            for label, count in counts.items()
        )
    )


def _steers(character: str) -> bool:
    """Whether it is a control or a line's end, or changes the direction of what follows it."""
    return unicodedata.category(character) in {"Cc", "Zl", "Zp"} or unicodedata.bidirectional(character) in {
        "LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI",
    }  # fmt: skip

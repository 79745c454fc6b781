"""How the page of `wrapper report` draws counts, and breaks what members wrote into lines."""

import dataclasses
import encodings.idna
import itertools
import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime

from markupsafe import Markup, escape

# How many months a chart has: the first ones are left out of a longer history, a shorter one is filled up.
MOST_MONTHS = 36
FEWEST_MONTHS = 12


@dataclasses.dataclass(frozen=True)
class Year:
    """The place of a year below the charts: its first column and how many it has."""

    label: int
    column: int
    span: int


@dataclasses.dataclass(frozen=True)
class Bar:
    """One month of a chart 100 high, in which every month is 10 wide."""

    x: int
    height: float
    title: str
    is_peak: bool


@dataclasses.dataclass(frozen=True)
class Chart:
    """Messages per month; `peak` is the busiest of the months, the first of several."""

    bars: list[Bar]
    peak: str
    peak_count: int


@dataclasses.dataclass(frozen=True)
class Axis:
    """The months that all charts of a page show."""

    months: list[date]

    @classmethod
    def between(cls, first: datetime, last: datetime) -> "Axis":
        """Return the months from the first message to the last one."""
        end = last.year * 12 + last.month - 1
        start = end + 1 - min(max(end + 1 - (first.year * 12 + first.month - 1), FEWEST_MONTHS), MOST_MONTHS)
        # A history that begins in the year 1 has no months before it.
        return cls([date(month // 12, month % 12 + 1, 1) for month in range(max(start, 12), end + 1)])

    @property
    def years(self) -> list[Year]:
        """Where the years begin."""
        years = []
        column = 1
        for label, months in itertools.groupby(self.months, key=lambda month: month.year):
            span = len(list(months))
            years.append(Year(label, column, span))
            column += span
        return years

    def chart(self, counts: Mapping[date, int]) -> Chart:
        """Return the chart of these counts."""
        most = max((counts.get(month, 0) for month in self.months), default=0)
        peak = next(month for month in self.months if counts.get(month, 0) == most)
        return Chart(
            [
                Bar(
                    10 * place,
                    100 * counts.get(month, 0) / (most or 1),
                    f"{month:%Y-%m}: {counts.get(month, 0):,}",
                    month == peak,
                )
                for place, month in enumerate(self.months)
            ],
            f"{peak:%Y-%m}",
            most,
        )

    def line(self, counts: Mapping[date, int]) -> str:
        """Return the same as one path of bars 20 high, for a row of a table."""
        most = max((counts.get(month, 0) for month in self.months), default=0) or 1
        return "".join(
            f"M{10 * place + 1} 20v-{max(20 * counts[month] / most, 1.5):.1f}h8V20z"
            for place, month in enumerate(self.months)
            if counts.get(month)
        )


def decoded(domain: str) -> str:
    """Return the domain with its punycode labels as their owner wrote them; one that is not valid stays as it is."""
    return ".".join(_decoded_label(label) for label in domain.split("."))


def _decoded_label(label: str) -> str:
    if not label.startswith("xn--"):
        return label
    try:
        return encodings.idna.ToUnicode(label)
    except UnicodeError:
        return label


def breakable(url: str) -> Markup:
    """Return the URL, escaped, with places where a line may end: after a slash, a question mark or an ampersand."""
    pieces: Sequence[str] = re.split(r"(?<=[/?&])(?!/)", url)
    return Markup("<wbr>").join(escape(piece) for piece in pieces)

"""A SQLite table as lines for Postgres's COPY. SQLite produces the lines; Python only joins them."""

from collections.abc import Iterator
from typing import Final

from wrapper.dbt_project import SourceColumn, SourceTable, project_vars
from wrapper.errors import ConfigurationError
from wrapper.nightly.sqlite_source import SqliteSource
from wrapper.nightly.tag_arrays import json_array

# The most that is in memory at a time, unless one row is larger.
_CHUNK_BYTES = 2**20
_REPLACEMENT: Final = "\N{REPLACEMENT CHARACTER}"
_SEPARATOR = " || char(9) || "
_NULL = r"'\N'"
# COPY's escapes. The backslash comes first, since the other escapes contain one.
_ESCAPES = (("'\\'", r"'\\'"), ("char(9)", r"'\t'"), ("char(10)", r"'\n'"), ("char(13)", r"'\r'"))
_MOMENT = "[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9][ T][0-9][0-9]:[0-9][0-9]:[0-9][0-9]"
_MICROSECONDS = ".[0-9][0-9][0-9][0-9][0-9][0-9]"
_COMPLAINTS = {
    "bigint": "is not an integer",
    "boolean": "is neither 0 nor 1",
    "text": "is not text",
    "timestamp": "is not a timestamp like 2024-03-18 12:00:00",
}


class CopyLines:
    """The rows of a table in COPY's text format; `replaced` counts values with NUL or invalid UTF-8."""

    def __init__(self, source: SqliteSource, table: SourceTable) -> None:
        self.replaced = 0
        self._source = source
        self._table = table
        present = source.columns(table)
        self._fields = {column.name: _field(column, column.name in present) for column in table.stored}
        self._places = [list(self._fields).index(column.parsed_from or "") for column in table.parsed]

    def chunks(self) -> Iterator[bytes]:
        """Yield the lines, about a MiB at a time.

        Raises ConfigurationError at a value that does not fit its column, naming file, table, row and column.
        """
        lines: list[bytes] = []
        size = 0
        query = f'select {_SEPARATOR.join(self._fields.values())} from "{self._table.name}"'  # noqa: S608 - our own names
        for (line,) in self._source.connection.execute(query):
            if line is None:
                raise self._unfit()
            lines.append(line)
            size += len(line)
            if size >= _CHUNK_BYTES:
                yield self._chunk(lines)
                lines.clear()
                size = 0
        if lines:
            yield self._chunk(lines)

    def _chunk(self, lines: list[bytes]) -> bytes:
        chunk = b"\n".join(lines)
        if not _is_storable(chunk):
            lines = [b"\t".join(map(self._storable, line.split(b"\t"))) for line in lines]
        if self._places:
            lines = list(map(self._with_arrays, lines))
        return b"\n".join([*lines, b""])

    def _storable(self, value: bytes) -> bytes:
        text = value.decode(errors="replace").replace("\0", _REPLACEMENT).encode()
        self.replaced += text != value
        return text

    def _with_arrays(self, line: bytes) -> bytes:
        """Add the columns that are parsed from other columns."""
        # Split only as far as necessary.
        values = line.split(b"\t", max(self._places) + 1)
        return b"\t".join([line, *[json_array(values[place]) for place in self._places]])

    def _unfit(self) -> ConfigurationError:
        """Name the first value that does not fit its column."""
        checks = ", ".join(
            f'typeof("{name}"), {field} is null, {_is_like_a_moment(name)}' if field != _NULL else "'null', 0, 0"
            for name, field in self._fields.items()
        )
        fields = _SEPARATOR.join(self._fields.values())
        query = f'select "{self._table.key}", {checks} from "{self._table.name}" where {fields} is null limit 1'  # noqa: S608
        key, *found = self._source.connection.execute(query).fetchone()
        for column, kind, is_unfit, is_like_a_moment in zip(
            self._table.stored, found[::3], found[1::3], found[2::3], strict=True
        ):
            if is_unfit:
                complaint = _COMPLAINTS[column.data_type]
                if kind == b"null":
                    complaint = "is missing"
                elif column.data_type == "timestamp" and is_like_a_moment:
                    complaint = "is not a timestamp that exists"
                break
        # A key that is not an integer may be anything, and must not be printed.
        row = key if isinstance(key, int) else "that is not an integer"
        return ConfigurationError(
            f"{self._source.setting}: {self._source.path}: table {self._table.name}, row {self._table.key} {row}, "
            f"column {column.name}: the value {complaint}; correct it in WhiteBalloon"
        )


def _field(column: SourceColumn, is_present: bool) -> str:
    """Return the SQL expression for a value in COPY's text format; it is null if the value does not fit the column."""
    if not is_present:
        return _NULL
    name = f'"{column.name}"'
    cases = {"null": _NULL} if column.nullable else {}
    if column.data_type == "bigint":
        cases["integer"] = f"cast({name} as text)"
    elif column.data_type == "boolean":
        cases["integer"] = f"case {name} when 0 then 'f' when 1 then 't' end"
    elif column.data_type == "timestamp":
        cases["text"] = f"case when {_is_moment(name)} then {name} end"
    else:
        text = name
        for character, escape in _ESCAPES:
            text = f"replace({text}, {character}, {escape})"
        # Few texts need an escape, and looking is quicker than replacing. Not glob, which stops at NUL.
        found = " or ".join(f"instr({name}, {character})" for character, _ in _ESCAPES)
        text = f"case when {found} then {text} else {name} end"
        if column.only_with_markers:
            text = f"case when {_has_marker(name)} then {text} else '' end"
        cases["text"] = text
    return f"case typeof({name}) {' '.join(f'''when '{kind}' then {text}''' for kind, text in cases.items())} end"


def _has_marker(name: str) -> str:
    markers = project_vars()["body_markers"].values()
    found = " or ".join(f"instr({name}, {_literal(marker)})" for marker in markers)
    # Most texts lack even a byte that all markers have. One search is quicker than three, and quickest in bytes.
    common = sorted(set.intersection(*(set(marker.encode()) for marker in markers)))
    return f"instr(cast({name} as blob), x'{common[0]:02x}') and ({found})" if common else found


def _is_moment(name: str) -> str:
    """Whether a text is an existing naive timestamp; Postgres would also accept `yesterday` or drop an offset."""
    # WhiteBalloon's usual form first, which is quicker to check. glob and date() stop at NUL, = does not.
    date = f"date({name}, '+0 days') = substr({name}, 1, 10) and substr({name}, 1, 4) >= '0001'"
    # date() checks the other digits; glob is slower with sets of characters than with ?.
    usual = f"{name} glob '????-??-??[ T]??:??:??{_MICROSECONDS}' and substr({name}, 1, 26) = {name} and {date}"
    seconds = f"substr({name}, 1, 19)"
    # '+0 days' turns 30 February into 1 March, and substr() stops at NUL.
    known = f"datetime({seconds}, '+0 days') || substr({name}, 20)"
    exists = f"({known} = {name} or {known} = replace({name}, 'T', ' '))"
    return f"({usual}) or ({exists} and substr({name}, 1, 4) >= '0001' and {_has_fraction(name)})"


def _is_like_a_moment(name: str) -> str:
    return f"{name} glob '{_MOMENT}*' and {_has_fraction(name)}"


def _has_fraction(name: str) -> str:
    """Whether the seconds are followed by a dot and up to six digits, or by nothing."""
    fraction = f"substr({name}, 20)"
    six_digits = f"{fraction} glob '{_MICROSECONDS}'"
    digits = f"{fraction} glob '.[0-9]*' and length({fraction}) <= 7 and substr({fraction}, 2) not glob '*[^0-9]*'"
    return f"({six_digits} or {fraction} = '' or {digits})"


def _is_storable(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return b"\0" not in text


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"

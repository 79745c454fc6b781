"""What the wrapper reads of the dbt project: its folder, its vars and the list of source tables."""

import dataclasses
import functools
from datetime import timedelta
from pathlib import Path
from typing import Any

import yaml

from wrapper.errors import ConfigurationError

_IN_WHEEL = "_dbt_project"


def find_project(package: Path) -> Path:
    """Return the folder of the dbt project: inside the package in a wheel, above it in a clone."""
    inside = package / _IN_WHEEL
    return inside if inside.is_dir() else package.parent


PROJECT_DIR = find_project(Path(__file__).resolve().parent)


@dataclasses.dataclass(frozen=True)
class SourceColumn:
    """One column of a source table.

    `parsed_from` names the text column whose JSON array this column holds. If `only_with_markers`, texts without a
    marker are not copied.
    """

    name: str
    data_type: str
    nullable: bool
    optional: bool
    only_with_markers: bool
    parsed_from: str | None


@dataclasses.dataclass(frozen=True)
class SourceTable:
    """One source table, as described in the dbt project's sources file.

    `distributed_by` names the column by which a Citus cluster spreads the copy over its workers. Source freshness warns
    if the last row is older than `warn_after`.
    """

    source: str
    name: str
    optional: bool
    columns: tuple[SourceColumn, ...]
    distributed_by: str | None = None
    warn_after: timedelta | None = None

    @property
    def key(self) -> str:
        """The key column, which comes first."""
        return self.columns[0].name

    @property
    def is_analyses(self) -> bool:
        """Whether the table is in the file of analyses instead of WhiteBalloon's database."""
        return self.source == "whiteballoon_analyses"

    @property
    def is_highlights(self) -> bool:
        """Whether the table is WhiteBalloon's highlight store."""
        return self.source == "whiteballoon_highlights"

    @property
    def stored(self) -> list[SourceColumn]:
        """The columns that exist in WhiteBalloon."""
        return [column for column in self.columns if column.parsed_from is None]

    @property
    def parsed(self) -> list[SourceColumn]:
        """The columns that are parsed from others; in a line that is loaded, they follow the stored ones."""
        return [column for column in self.columns if column.parsed_from is not None]


def _read(relative_path: str) -> dict[str, Any]:
    path = PROJECT_DIR / relative_path
    try:
        content: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(
            f"{relative_path} of the dbt project cannot be read ({error.strerror}): reinstall the project"
        ) from error
    return content


@functools.cache
def project_vars() -> dict[str, Any]:
    """Return the vars of dbt_project.yml with their defaults.

    Raises ConfigurationError if the dbt project cannot be read.
    """
    defaults: dict[str, Any] = _read("dbt_project.yml")["vars"]
    return defaults


@functools.cache
def source_tables() -> tuple[SourceTable, ...]:
    """Return the source tables in the order of the sources file."""
    sources = _read("models/staging/whiteballoon/_whiteballoon__sources.yml")["sources"]
    return tuple(
        SourceTable(
            source=source["name"],
            name=table["name"],
            optional=_meta(table).get("optional", False),
            columns=tuple(
                SourceColumn(
                    name=column["name"],
                    data_type=column["data_type"],
                    nullable=_meta(column).get("nullable", False),
                    optional=_meta(column).get("optional", False),
                    only_with_markers=_meta(column).get("only_with_markers", False),
                    parsed_from=_meta(column).get("parsed_from"),
                )
                for column in table["columns"]
            ),
            distributed_by=_meta(table).get("distributed_by"),
            warn_after=_warn_after(table),
        )
        for source in sources
        for table in source["tables"]
    )


def _warn_after(table: dict[str, Any]) -> timedelta | None:
    found = table.get("config", {}).get("freshness", {}).get("warn_after")
    return timedelta(**{f"{found['period']}s": found["count"]}) if found else None


def _meta(node: dict[str, Any]) -> dict[str, Any]:
    meta: dict[str, Any] = node.get("config", {}).get("meta", {})
    return meta

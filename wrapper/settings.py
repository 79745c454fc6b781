"""The settings of docs/settings.md, from the environment and a .env file in the working directory."""

import dataclasses
import os
import re
import urllib.parse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dotenv.parser import parse_stream
from psycopg2 import ProgrammingError
from psycopg2.extensions import parse_dsn

from wrapper.dbt_project import project_vars
from wrapper.errors import ConfigurationError
from wrapper.operator_vars import read_vars

NAMES = (
    "DATABASE_URL", "WB_SCHEMA", "COMMENT_INSIGHTS_DB", "WAREHOUSE_URL", "WAREHOUSE_SCHEMA", "STORAGE_DIR",
    "PROFILE_SIGNAL_GLAZE", "STATSD_HOST", "STATSD_PORT", "SNAPSHOT_VARS",
)  # fmt: skip
# Room for the suffixes that dbt and this project add, within Postgres's 63 bytes.
_SCHEMA = re.compile(r"[a-z_][a-z0-9_]{0,39}")
# WhiteBalloon's own settings, for which its .env wins over the environment.
_OF_WHITEBALLOON = ("DATABASE_URL", "PROFILE_SIGNAL_GLAZE", "STATSD_HOST", "STATSD_PORT")
_SWITCH = {**dict.fromkeys(("1", "true", "on", "yes"), True), **dict.fromkeys(("0", "false", "off", "no"), False)}
# Of libpq's parameters those without an environment variable, but for keepalives_idle, which profiles.yml has.
_NO_WAY_TO_DBT = {
    "fallback_application_name", "keepalives", "keepalives_count", "keepalives_interval", "oauth_client_id",
    "oauth_client_secret", "oauth_issuer", "oauth_scope", "replication", "scram_client_key", "scram_server_key",
    "sslkeylogfile", "sslpassword", "tcp_user_timeout",
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Settings:
    """One run's settings.

    `database` and `warehouse` hold libpq's connection parameters, None for SQLite and for the embedded Postgres.
    """

    sqlite_path: Path | None
    database: dict[str, str] | None
    wb_schema: str
    analyses_path: Path
    # Whether COMMENT_INSIGHTS_DB is set; only the default file may be missing.
    analyses_required: bool
    warehouse: dict[str, str] | None
    warehouse_schema: str
    storage_dir: Path
    enabled: bool
    statsd_host: str | None
    statsd_port: int
    # The file of SNAPSHOT_VARS, and the dbt vars in it.
    vars_path: Path | None
    vars: dict[str, Any]

    def var(self, name: str) -> Any:
        """Return a dbt var's value, which is the project's where SNAPSHOT_VARS has none."""
        return {**project_vars(), **self.vars}[name]

    @property
    def source_schema(self) -> str:
        """Where `wrapper load` puts its copies."""
        return f"{self.warehouse_schema}_source"

    @property
    def intermediate_schema(self) -> str:
        """Where dbt builds what is not published."""
        return f"{self.warehouse_schema}_intermediate"

    @property
    def read_schema(self) -> str:
        """Where WB's own tables are read: its schema on Postgres, else the copies."""
        return self.source_schema if self.sqlite_path else self.wb_schema


def read_storage_dir(environ: Mapping[str, str] = os.environ) -> Path:
    """Return STORAGE_DIR alone, so that a run can be logged even where other settings cannot be used.

    Raises ConfigurationError if .env cannot be read.
    """
    return Path(_values(environ).get("STORAGE_DIR", "storage"))


def read_settings(environ: Mapping[str, str] = os.environ) -> Settings:
    """Return the settings of this process; the environment wins over .env, and an empty value is an unset one.

    Raises ConfigurationError if a value cannot be used, naming the setting and never printing a URL.
    """
    values = _values(environ)
    url = values.get("DATABASE_URL", "sqlite:///data/app.db")
    sqlite_path = None
    parameters = None
    if _driver("DATABASE_URL", url) == "sqlite":
        sqlite_path = _sqlite_path(url)
    else:
        parameters = _libpq_parameters("DATABASE_URL", url)
    warehouse = parameters
    if "WAREHOUSE_URL" in values:
        warehouse = _libpq_parameters("WAREHOUSE_URL", values["WAREHOUSE_URL"])
    if unsupported := _NO_WAY_TO_DBT & (warehouse or {}).keys():
        raise ConfigurationError(
            f"WAREHOUSE_URL (or else DATABASE_URL): {min(unsupported)!r} cannot be passed on to dbt, "
            "only keepalives_idle of its kind can: set a WAREHOUSE_URL without it"
        )

    schema = values.get("WAREHOUSE_SCHEMA", "signal_profiles")
    if not _SCHEMA.fullmatch(schema) or schema.startswith("pg_"):
        raise ConfigurationError(
            f"WAREHOUSE_SCHEMA {schema!r} will not do: use up to 40 lower-case letters, digits and _, no pg_ in front"
        )
    port = values.get("STATSD_PORT", "8125")
    if not (port.isascii() and port.isdigit() and 0 < int(port[:6]) < 65536):
        raise ConfigurationError(f"STATSD_PORT must be a port from 1 to 65535, not {port!r}")
    switch = values.get("PROFILE_SIGNAL_GLAZE", "off")
    if switch.strip().lower() not in _SWITCH:
        raise ConfigurationError(
            f"PROFILE_SIGNAL_GLAZE must be 1, true, on or yes, or 0, false, off or no, not {switch!r}"
        )

    vars_path = Path(values["SNAPSHOT_VARS"]) if "SNAPSHOT_VARS" in values else None
    settings = Settings(
        sqlite_path=sqlite_path,
        database=parameters,
        wb_schema=values.get("WB_SCHEMA", "public"),
        analyses_path=Path(values.get("COMMENT_INSIGHTS_DB", "data/comment_llm_insights.db")),
        analyses_required="COMMENT_INSIGHTS_DB" in values,
        warehouse=warehouse,
        warehouse_schema=schema,
        storage_dir=read_storage_dir(environ),
        enabled=_SWITCH[switch.strip().lower()],
        statsd_host=values.get("STATSD_HOST"),
        statsd_port=int(port),
        vars_path=vars_path,
        vars={} if vars_path is None else read_vars(vars_path),
    )
    if sqlite_path is None and settings.wb_schema in {settings.source_schema, settings.intermediate_schema}:
        raise ConfigurationError(
            f"WB_SCHEMA {settings.wb_schema!r} is one that this project writes to: set another WAREHOUSE_SCHEMA"
        )
    return settings


def read_origins(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return where each of NAMES comes from: the environment, .env or its default.

    Raises ConfigurationError if .env cannot be read.
    """
    values = _values(environ)
    return {name: "environment" if environ.get(name) else ".env" if name in values else "default" for name in NAMES}


def read_disagreements(environ: Mapping[str, str] = os.environ) -> list[str]:
    """Return a line for each of WhiteBalloon's own settings that .env and the environment set to different values.

    Raises ConfigurationError if .env cannot be read.
    """
    from_file = _env_file()
    return [
        f"{name} is set to different values in .env and in the environment: "
        "this run uses that of the environment, and WhiteBalloon that of .env"
        for name in _OF_WHITEBALLOON
        if name in from_file and name in environ and from_file[name] != environ[name]
    ]


def _values(environ: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in {**_env_file(), **environ}.items() if value}


def _env_file() -> dict[str, str | None]:
    # Not dotenv_values(), which passes over a line it cannot read and takes ${…} in a password for a name.
    from_file: dict[str, str | None] = {}
    try:
        with Path(".env").open(encoding="utf-8") as file:
            for binding in parse_stream(file):
                if binding.error:
                    raise ConfigurationError(
                        f".env in the working directory: line {binding.original.line} is no NAME=value"
                    )
                if binding.key is not None:
                    from_file[binding.key] = binding.value
    except FileNotFoundError:
        pass
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f".env in the working directory cannot be read: {error}") from error
    return from_file


def _driver(name: str, url: str) -> str:
    """Return what a URL begins with, without a Python driver's name, as in postgresql+psycopg://."""
    scheme, separator, _ = url.partition("://")
    if not separator:
        raise ConfigurationError(
            f"{name} is not a database URL: use sqlite:///path or postgresql://user:password@host/database"
        )
    return scheme.partition("+")[0]


def _sqlite_path(url: str) -> Path:
    path = urllib.parse.unquote(url.partition("://")[2].partition("?")[0])
    if not path.startswith("/") or path in {"/", "/:memory:"}:
        raise ConfigurationError("DATABASE_URL names no file: write it as sqlite:///path/to/app.db")
    return Path(path.removeprefix("/"))


def _libpq_parameters(name: str, url: str) -> dict[str, str]:
    if (driver := _driver(name, url)) != "postgresql":
        these = "sqlite:/// and postgresql://" if name == "DATABASE_URL" else "postgresql://"
        raise ConfigurationError(f"{name} begins with {driver!r}: only {these} will do here")
    location = url.partition("://")[2]
    if location.count("@") > 1:
        # What stands before the second @ is a part of the password, and libpq's message would print it.
        raise ConfigurationError(f"{name}: write @ : / ? and # in the user or the password as %40 %3A %2F %3F and %23")
    keys = [key for key, _ in urllib.parse.parse_qsl(location.partition("?")[2], keep_blank_values=True)]
    if repeated := [key for key in keys if keys.count(key) > 1]:
        raise ConfigurationError(f"{name} gives {repeated[0]!r} more than once: give it once")
    try:
        parameters: dict[str, str] = parse_dsn(f"postgresql://{location}")
    except ProgrammingError as error:
        reason, _, quoted = str(error).strip().removeprefix("invalid dsn: ").partition('"')
        # What libpq quotes may be a part of the password, unless it is the name of a parameter.
        shown = f" {quoted[:-1]!r}" if quoted[:-1] in keys else ""
        raise ConfigurationError(f"{name}: {reason.strip(' :')}{shown}") from error
    except UnicodeError as error:
        raise ConfigurationError(f"{name} is not valid UTF-8") from error
    # Several hosts without ports come with a comma.
    if parameters.get("port", "").strip(",") == "":
        parameters.pop("port", None)
    elif not parameters["port"].isdigit():
        raise ConfigurationError(f"{name}: the port must be a number")
    return parameters

"""libpq's environment variables, through which dbt and the wrapper reach the same warehouse with the same session."""

import os

# client_connection_check_interval ends a killed run's statements; the lock's connection idles while dbt works.
# A session that leaves a transaction open on one of our tables must not block a run forever.
_SESSION_OPTIONS = "-c client_connection_check_interval=1000 -c idle_session_timeout=0 -c lock_timeout=60000"
# After the URL's own options: a URL may change lock_timeout but must not shift timestamps or change literals. The last
# one tells dbt's sessions that the wrapper holds the lock (macros/warehouse/session.sql).
_FIXED_OPTIONS = "-c timezone=UTC -c standard_conforming_strings=on -c signal_profiles.lock=wrapper"
# Do not let a server that never answers stall the nightly run.
CONNECT_SECONDS = "10"
# libpq's variables are PG and the parameter without underscores, except for these. It has none for keepalives_idle.
_VARIABLES = {"dbname": "PGDATABASE", "application_name": "PGAPPNAME", "connect_timeout": "PGCONNECT_TIMEOUT"}


def set_variables(parameters: dict[str, str]) -> None:
    """Set the variables for these connection parameters, for this process and its children."""
    options = " ".join(filter(None, [_SESSION_OPTIONS, parameters.get("options"), _FIXED_OPTIONS]))
    for key, value in {"connect_timeout": CONNECT_SECONDS, **parameters, "options": options}.items():
        os.environ[libpq_variable(key)] = value


def libpq_variable(parameter: str) -> str:
    """Return the environment variable for one of libpq's connection parameters."""
    return _VARIABLES.get(parameter, "PG" + parameter.upper().replace("_", ""))

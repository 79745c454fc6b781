"""Each libpq parameter in WAREHOUSE_URL applies to the wrapper's connection and dbt's, or is refused by name."""

import ctypes
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.wrapper.conftest import Wrapper
from wrapper.errors import ConfigurationError
from wrapper.settings import read_settings
from wrapper.warehouse.embedded import bundled_programs
from wrapper.warehouse.environment import libpq_variable

OWN_CONNECTION = """
from wrapper.settings import read_settings
from wrapper.warehouse.connection import open_warehouse
with open_warehouse(read_settings(), to_write=False) as warehouse:
    print(warehouse.connection.info.dsn_parameters)
"""


class Option(ctypes.Structure):
    """PQconninfoOption of libpq-fe.h."""

    _fields_ = [(name, ctypes.c_char_p) for name in ("keyword", "envvar", "compiled", "val", "label", "dispchar")] + [
        ("dispsize", ctypes.c_int)
    ]


def libpq_options() -> dict[str, str | None]:
    """Return PostgreSQL 18's connection parameters, each with its environment variable."""
    [file] = [*(bundled_programs().parent / "lib").glob("libpq.so.5"), Path()][:1]
    if not file.is_file():
        pytest.skip("the libpq of the wheel has another name here")
    libpq = ctypes.CDLL(str(file))
    libpq.PQconndefaults.restype = ctypes.POINTER(Option)
    options = {}
    for option in libpq.PQconndefaults():
        if option.keyword is None:
            break
        options[option.keyword.decode()] = option.envvar and option.envvar.decode()
    return options


def test_every_parameter_of_libpq_has_a_variable_or_is_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    accepted = {}
    for parameter in libpq_options():
        try:
            accepted[parameter] = read_settings({"WAREHOUSE_URL": f"postgresql://?{parameter}=1"}).warehouse
        except ConfigurationError as error:
            assert parameter in str(error)  # noqa: PT017 - most raise none
    variables = {parameter: libpq_variable(parameter) for parameter in accepted if parameter != "keepalives_idle"}
    assert variables == {parameter: libpq_options()[parameter] for parameter in variables}
    assert {"sslmode", "connect_timeout", "keepalives_idle"} <= accepted.keys()


def test_whiteballoon_url_that_is_not_the_warehouse_may_have_any_parameter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    environ = {"DATABASE_URL": "postgresql://h/d?keepalives_count=3&keepalives_idle=9"}
    with pytest.raises(ConfigurationError, match="'keepalives_count' cannot be passed on to dbt"):
        read_settings(environ)
    assert read_settings({**environ, "WAREHOUSE_URL": "postgresql://h/d"}).warehouse == {"host": "h", "dbname": "d"}


def test_keepalives_and_timeout_in_the_url_apply_to_both_connections(wrapper: Wrapper) -> None:
    url = f"{wrapper.environ['WAREHOUSE_URL']}&keepalives_idle=77&connect_timeout=66"
    environ = {**os.environ, **wrapper.environ, "WAREHOUSE_URL": url}
    own = subprocess.check_output([sys.executable, "-c", OWN_CONNECTION], cwd=wrapper.cwd, env=environ, text=True)
    assert "'keepalives_idle': '77'" in own
    assert "'connect_timeout': '66'" in own
    debugged = wrapper.succeed("dbt", "debug", WAREHOUSE_URL=url).stdout
    assert "keepalives_idle: 77\n" in debugged
    assert "connect_timeout: 66\n" in debugged

"""Plain dbt, without the wrapper; SQL of the project's macros, compiled by dbt itself and run on a list of texts."""

import os
import re
import subprocess
import sys
from pathlib import Path

import psycopg2
from psycopg2.extras import execute_values

from wrapper.dbt_project import PROJECT_DIR


def compile_sql(inline: str, target_path: Path, url: str) -> str:
    """Return what dbt compiles `inline` to."""
    from dbt.cli.main import dbtRunner

    info = psycopg2.connect(url).info
    os.environ |= {"PGHOST": info.host, "PGUSER": info.user, "PGDATABASE": info.dbname}
    paths = ["--project-dir", str(PROJECT_DIR), "--profiles-dir", str(PROJECT_DIR), "--target-path", str(target_path)]
    result = dbtRunner().invoke(
        ["--quiet", "--log-level", "none", "--log-level-file", "none", "compile", "--inline", inline, *paths]
    )
    assert result.success, result.exception
    compiled: str = result.result.results[0].node.compiled_code
    return compiled


def compile_models(names: list[str], target_path: Path, url: str, **inline: str) -> dict[str, str]:
    """Return the SQL of these intermediate models, each ref to a model being one to a temporary table of its name.

    What is given `inline` is compiled with them.
    """
    sources = {name: (PROJECT_DIR / "models" / "intermediate" / f"{name}.sql").read_text() for name in names} | inline
    joined = "\n;\n".join(re.sub(r"\{\{ ref\('(\w+)'\) \}\}", r"pg_temp.\1", source) for source in sources.values())
    return dict(zip(sources, compile_sql(joined, target_path, url).split("\n;\n"), strict=True))


def run_on_texts(url: str, sql: str, texts: list[str]) -> list[tuple[object, ...]]:
    """Run SQL over a temporary table texts (position, body)."""
    connection = psycopg2.connect(url)
    with connection, connection.cursor() as cursor:
        cursor.execute("create temporary table texts (position bigint, body text)")
        execute_values(cursor, "insert into texts values %s", list(enumerate(texts)), page_size=5000)
        cursor.execute(sql)
        rows = cursor.fetchall()
    connection.close()
    return rows


def start_plain_dbt(url: str, folder: Path, *arguments: str) -> "subprocess.Popen[str]":
    """Run dbt by hand, without the wrapper and its lock."""
    info = psycopg2.connect(url).info
    return subprocess.Popen(
        [Path(sys.executable).with_name("dbt"), *arguments, "--target-path", folder],
        cwd=PROJECT_DIR,
        env={
            **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
            "PGHOST": info.host, "PGUSER": info.user, "PGDATABASE": info.dbname, "DBT_LOG_PATH": str(folder),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )  # fmt: skip

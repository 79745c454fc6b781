"""Lint the SQL that dbt compiles, with all that macros put into it: `make lint` reads the files without dbt.

dbt compiles beside a warehouse, here that of the settings. Usage: lint_compiled.py FILE_OR_FOLDER...
"""

import os
import subprocess
import sys
from pathlib import Path

from wrapper.settings import read_settings
from wrapper.warehouse.connection import open_warehouse

settings = read_settings()
target = settings.storage_dir.absolute() / "lint"
os.environ |= {"DBT_TARGET_PATH": str(target), "DBT_LOG_PATH": str(target), "DBT_PROFILES_DIR": str(Path.cwd())}
with open_warehouse(settings, to_write=False):
    sqlfluff = Path(sys.prefix, "compiled", "bin", "sqlfluff")
    sys.exit(subprocess.run([sqlfluff, "lint", "--templater", "dbt", *sys.argv[1:]]).returncode)

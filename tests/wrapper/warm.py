"""dbt as it is after a first use, for the processes that are forked from the one that imports this.

What dbt makes when it first needs it, such as the readers of its own files and the code of its macros, is half of a
small run.
"""

import functools
import gc
import tempfile

import dbt.adapters.postgres  # noqa: F401 - so that forked processes have it
from dbt.adapters.factory import reset_adapters
from dbt.cli.main import dbtRunner
from dbt.parser.models import ModelParser
from dbt_common.clients import agate_helper
from dbt_common.clients.jinja import get_environment, get_template

import wrapper.nightly.run  # noqa: F401
from wrapper.dbt_project import PROJECT_DIR

# dbt's shortcut for simple models has threads, which a forked process would wait for; it renders them instead.
ModelParser.run_static_parser = lambda self, node: None

# What tells the types of a table's columns apart depends on the names of its text columns alone.
_type_testers = functools.cache(agate_helper.build_type_tester)
agate_helper.build_type_tester = lambda text_columns, **null_values: _type_testers(tuple(text_columns), **null_values)

# The code of a template depends on its text alone, and on whether it makes text or Python's values.
for native in (True, False):
    environment = get_environment(native=native)
    compiled = functools.cache(environment.compile)
    type(environment).compile = lambda self, text, compiled=compiled: compiled(text)  # type: ignore

with tempfile.TemporaryDirectory() as target:
    paths = ("--project-dir", str(PROJECT_DIR), "--profiles-dir", str(PROJECT_DIR), "--target-path", target)
    quietly = ("--quiet", "--log-level", "none", "--log-path", target)
    # The second time it reads what it wrote the first time.
    for _ in range(2):
        manifest = dbtRunner().invoke([*quietly, "parse", *paths]).result
        reset_adapters()
    for macro in manifest.macros.values():
        get_template(macro.macro_sql, {})
gc.freeze()

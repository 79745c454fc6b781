"""`wrapper snapshot --all` without its load, as where WhiteBalloon is on Postgres: what was loaded before is used."""

import sys
from unittest import mock

from wrapper.cli import main
from wrapper.dbt_project import source_tables
from wrapper.nightly.loaded import Copy

if __name__ == "__main__":
    sys.argv[1:] = ["snapshot", "--all", "--rebuild", "--json"]
    copies = {table.name: Copy("loaded before", 0) for table in source_tables()}
    with mock.patch("wrapper.nightly.run.load", return_value=copies):
        main()

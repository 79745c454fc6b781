"""`wrapper snapshot --all` without its load, as where WhiteBalloon is on Postgres: what was loaded before is used."""

import sys
from unittest import mock

from wrapper.cli import main
from wrapper.dbt_project import source_tables

if __name__ == "__main__":
    sys.argv[1:] = ["snapshot", "--all", "--rebuild", "--json"]
    with mock.patch(
        "wrapper.nightly.run.load", return_value={table.name: "loaded before" for table in source_tables()}
    ):
        main()

"""`wrapper snapshot --all` without its load, as where WhiteBalloon is on Postgres: what was loaded before is used."""

import sys
from unittest import mock

from wrapper.cli import main

if __name__ == "__main__":
    sys.argv[1:] = ["snapshot", "--all", "--json"]
    with mock.patch("wrapper.run.load"):
        main()

"""One nightly run, in the order in which it happens: `run` calls the others."""

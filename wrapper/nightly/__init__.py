"""One nightly run. `run` calls the other modules in the order in which things happen: load, build, hash, files, log."""

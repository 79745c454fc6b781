"""The commands by section of `wrapper --help`. Each imports what is slow to import when it is called."""

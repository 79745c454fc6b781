"""Expected failures: one family of exceptions, each of which knows its exit code."""

import enum

import click


class ExitCode(enum.IntEnum):
    """What the commands exit with."""

    DONE = 0
    BUILD_FAILED = 1
    USAGE = 2
    OVERDUE = 3
    LOCKED = 75
    INTERRUPTED = 130


class WrapperError(click.ClickException):
    """An expected failure whose message is one line that names the thing and says what to do."""

    exit_code = ExitCode.USAGE
    status = "failed"

    @property
    def logged(self) -> str:
        """What the run log says of it: the message, unless that has a name in it."""
        return self.message


class ConfigurationError(WrapperError):
    """A setting, a source or the warehouse is not usable as it is."""


class NoRightError(ConfigurationError):
    """The user of the warehouse may not write there."""


class UnknownScopeError(ConfigurationError):
    """The scope names a user or a group that does not exist; such a run does not count as a failure."""

    status = "refused"


class UnknownNameError(UnknownScopeError):
    """The scope has a user by a name that WhiteBalloon does not have."""

    logged = "WhiteBalloon has no user of a name that was given"


class BuildError(WrapperError):
    """dbt could not build, or a data test failed; nothing was published."""

    exit_code = ExitCode.BUILD_FAILED


class LockedError(WrapperError):
    """Another run holds the lock and the time to wait ran out."""

    exit_code = ExitCode.LOCKED
    status = "locked"

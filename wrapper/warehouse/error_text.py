"""Database errors without the values that they quote."""

import psycopg2


def first_line(error: BaseException) -> str:
    """Return the first line of a database error without the values in it; later lines may quote whole rows."""
    line = str(error).strip().partition("\n")[0]
    if isinstance(error, psycopg2.DataError):
        # `invalid input syntax for type bigint: "a message"`
        line = line.partition('"')[0].rstrip(" :") + f" ({type(error).__name__})"
    if isinstance(error, psycopg2.errors.LockNotAvailable):
        return f"{line}: another session keeps a table that it needs locked in an open transaction"
    return line

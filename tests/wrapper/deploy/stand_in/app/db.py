"""Mirrors `get_engine() -> Engine`."""

import functools

import sqlalchemy


@functools.cache
def get_engine() -> sqlalchemy.Engine:
    return sqlalchemy.create_engine("sqlite:///data/app.db")

"""Stands in for WhiteBalloon's package `app` in the tests of integrations/whiteballoon/rewrite_bios.py.

It has the functions that the script uses, with their signatures at WhiteBalloon's commit c9cf720, over the tables of
examples/make_whiteballoon.py. None of WhiteBalloon's code is here.
"""

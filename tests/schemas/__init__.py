"""Schemas that several test modules share, one kind in each module.

Each is a function that declares classes on the base it is given and returns them as a ``Models``,
for the fixture ``keep``. The blog, which is everybody's, is in ``tests/models.py``. What tells the
story of one test is declared in that test.
"""

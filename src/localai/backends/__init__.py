"""Engines: one file each, imported only by its own worker, and one entry each in `manifest.yaml`.

A file holds a class `Backend` that satisfies the protocols of `worker.interfaces` for the tasks of
its entry. `echo.py` is the smallest one, and the double that the tests use.
"""

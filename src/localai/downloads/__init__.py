"""Bringing files into the models folder: whole and verified, or not at all.

`names` says which names are allowed.
"""

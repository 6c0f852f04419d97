"""The demonstration model that comes with the package; `training/starter` makes it."""

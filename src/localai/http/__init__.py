"""The door: the only room that imports the web framework.

`routes` is one table of method, path and endpoint; `generation` serves every dialect's text
endpoints; `framing` turns frames into bytes; `gate` holds keys, origins and limits; `app` wires.
A new dialect adds rows to `routes`, nothing else.
"""

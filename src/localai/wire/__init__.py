"""How server and worker talk: plain HTTP/1.1, one POST per task, events back as NDJSON.

Both sides import this room, so it must stay free of everything but msgspec and the domain. Over a
Unix socket a worker trusts its folder's permissions; over TCP it wants a bearer token. Hanging up
cancels. `curl --unix-socket` can speak it: see `messages.py` for the shapes.
"""

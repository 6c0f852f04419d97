"""Inside one worker process: one engine, one model, one HTTP server.

`runtime` is the only copy of the socket, error and shutdown code; `interfaces` says what a backend
must offer; `llama_server` speaks to any llama-server. Nothing here imports a server room.
"""

"""Speaks to a llama-server, embedded or a binary of a fork: requests out, events back.

`requests` writes the bodies, `chunks` reads the stream, `client` connects them.
Source: llama.cpp, tools/server/README.md.
"""

from localai.worker.llama_server.client import LlamaServer

__all__ = ["LlamaServer"]

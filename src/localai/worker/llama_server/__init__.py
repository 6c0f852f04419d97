"""Speaks to a llama-server, embedded or a binary of a fork: requests out, events back.

`requests` writes the bodies, `chunks` reads the stream, `client` connects them; `vectors` has the
tasks without a stream, `forced_calls` makes tool calls certain. `tasks` is what a backend inherits.
Source: llama.cpp, tools/server/README.md.
"""

from localai.worker.llama_server.client import LlamaServer, Purpose
from localai.worker.llama_server.tasks import LlamaServerTasks

__all__ = ["LlamaServer", "LlamaServerTasks", "Purpose"]

"""The engine's own server, bare: `python -m benchmarks.engine MODELS_FOLDER NAME`.

Its parameters are those that local-ai gives to the same model: the model file goes through the
library and the backend's own reader. It prints its address and ends when its stdin does.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import xllamacpp

from localai import assemble, settings
from localai.backends import llama_cpp
from localai.wire.messages import LoadRequest


def main() -> None:
    folder, name = sys.argv[1:]
    services = assemble.build_services(settings.load({"models_path": Path(folder)}))
    spec = asyncio.run(services.library.prepare(services.library.find(name)))
    order = LoadRequest(
        model=spec.name,
        model_path=str(spec.model_path),
        settings=dict(spec.settings),
        options=list(spec.options),
    )
    params = llama_cpp._Parameters(order).params  # noqa: SLF001 - the very parameters are the point
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    server = xllamacpp.Server(params)
    print(server.listening_address, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()

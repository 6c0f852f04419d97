"""What the endpoints need, built once in `assemble` and handed down."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from starlette.responses import Response

from localai.observe.log import logger

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import Scope

    from localai.dialects.contract import ErrorReply
    from localai.documents import DocumentReader
    from localai.domain.errors import LocalAIError
    from localai.engines.stock import Stock
    from localai.gallery.supply import ModelSupply
    from localai.inference.autoload import Autoload
    from localai.inference.jobs import Jobs
    from localai.inference.library import Library
    from localai.inference.model_creation import ModelCreation
    from localai.inference.model_jobs import ModelJobs
    from localai.inference.responses import Responses
    from localai.inference.responses_conversations import Conversations
    from localai.observe.metrics import Metrics
    from localai.outbound import Fetcher
    from localai.settings import ServerSettings
    from localai.state import FileStore
    from localai.supervisor.pool import Pool

_log = logger(__name__)
_SERVER_ERROR = 500


@dataclass(slots=True, kw_only=True)
class Services:
    """The server's objects. `not_ready` is the reason why /readyz says no, empty when it says yes."""

    settings: ServerSettings
    library: Library
    pool: Pool
    metrics: Metrics
    fetcher: Fetcher
    files: FileStore
    documents: DocumentReader
    responses: Responses
    conversations: Conversations
    stock: Stock
    supply: ModelSupply
    autoload: Autoload
    jobs: Jobs
    models: ModelJobs
    creation: ModelCreation
    spell_error: Callable[[LocalAIError], ErrorReply]
    not_ready: str = field(default="starting")
    spellers: dict[str, Callable[[LocalAIError], ErrorReply]] = field(default_factory=dict)

    def _speller(self, path: str) -> Callable[[LocalAIError], ErrorReply] | None:
        """The dialect of a path, and of those beside it that nobody serves: /api/chats."""
        for whole in (path, f"/v1{path}"):
            if whole in self.spellers:
                return self.spellers[whole]
            segments = whole.split("/")
            family = "/".join(segments[: 3 if segments[1:2] == ["v1"] else 2])
            for known, spell in self.spellers.items():
                if len(family) > 1 and f"{known}/".startswith(f"{family}/"):
                    return spell
        return None

    def error_response(
        self,
        scope: Scope,
        error: LocalAIError,
        spell: Callable[[LocalAIError], ErrorReply] | None = None,
    ) -> Response:
        """`error` as the response of one dialect, by default that of the path, else the server's."""
        reply = (spell or self._speller(scope["path"]) or self.spell_error)(error)
        self.metrics.failures.labels(error.kind).inc()
        if reply.status >= _SERVER_ERROR:
            _log.warning("%s %s: %s", scope["method"], scope["path"], error.sentence)
        body = b"" if self.settings.opaque_errors else reply.body
        return Response(
            body,
            status_code=reply.status,
            headers=dict(reply.headers),
            media_type="application/json",
        )

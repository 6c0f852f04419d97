"""Every error that a user can meet, as one tree.

    LocalAIError
    +- RequestError          the caller can fix it
    |  +- InvalidRequest       a field has a wrong value              (param)
    |  +- ModelNotFound        no model of that name                  (model, near)
    |  +- EntryNotFound        no gallery has a model of that name    (name, near)
    |  +- ModelDisabled        the model's file says `disabled: true` (model)
    |  +- Unsupported          this model or build cannot do that     (feature)
    |  +- ContextTooLong       the prompt does not fit                (limit, requested)
    |  +- JobNotFound          no job has that id                   (job_id)
    |  +- BodyTooLarge         the request body is over the limit     (limit_bytes)
    |  +- FileTooLarge         an uploaded file is over the limit     (limit_bytes)
    |  +- FetchFailed          an address in the request gave nothing (address)
    |  +- NotStored            nothing of that id is kept             (what)
    |  +- DocumentUnreadable   a document gives no text               (document)
    |  +- SourceNotFound       a model's name or address leads nowhere (written, near)
    |  +- SourceForbidden      a model's source wants a token       (written)
    |  +- BodyIncomplete       the request body stopped coming      (timeout_s)
    |  +- RouteNotFound        nothing is served at that path         (near)
    |  +- MethodNotAllowed     the path wants another method          (allowed)
    |  +- NotAuthorized        a key is missing or wrong
    |  +- CrossSite            a browser sent it from another site
    +- CapacityError         try later
    |  +- QueueFull            too many requests wait                 (limit, retry_after_s)
    |  +- CoolingDown          the model failed to start a moment ago (retry_after_s, reason)
    |  +- OutOfMemory          the model does not fit                 (needed_bytes, free_bytes)
    |  +- TimedOut             a stage took too long                  (stage, timeout_s)
    |  +- StorageFull          there is no room for a file            (free_bytes)
    |  +- DownloadFailed       a file could not be fetched            (name)
    |  +- ShuttingDown         the server is stopping
    +- WorkerError           the engine
    |  +- StartFailed          the worker did not become ready        (log_tail)
    |  +- Crashed              the worker died                        (exit_code, log_tail)
    |  +- EngineFailed         the engine reported an error
    |  +- StreamRuleBroken     the worker's events are out of order
    +- SetupError            the operator
       +- SpecInvalid          a model file is wrong                  (problems)
       +- ModelFileInvalid     a weights file is damaged              (path)
       +- BackendNotInstalled  no engine of that name                 (command)
       +- InstallFailed        an engine could not be installed       (log_tail)
       +- GalleryFailed        a gallery cannot be read               (gallery, why)
       +- InstallBusy          another process installs it            (backend)
       +- SettingInvalid       a flag, variable or file value is wrong
       +- ChecksumMismatch     a download differs from what was announced

A message says what happened, the value and the limit; `hint` says what to do next. `kind` is
stable: dialects map it to a status, and it crosses the wire together with `fields`. Those about
where models come from are in `source_errors`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any, ClassVar

from localai.domain.exit_codes import hint_about, how_it_ended


class LocalAIError(Exception):
    """The root: a sentence, a hint and the fields that made them."""

    kind: ClassVar[str] = "error"

    def __init__(self, message: str, *, hint: str = "", **fields: Any) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.fields: dict[str, Any] = fields

    @property
    def sentence(self) -> str:
        """The message and the hint as one text."""
        return f"{self.message} {self.hint}".strip()

    @property
    def retry_after_s(self) -> float | None:
        """Seconds after which trying again makes sense, if that is known."""
        value = self.fields.get("retry_after_s")
        return float(value) if value is not None else None


class RequestError(LocalAIError):
    """The caller can fix it."""

    kind = "request_error"


class InvalidRequest(RequestError):
    """A field of the request has a wrong value; `param` is its path."""

    kind = "invalid_request"

    def __init__(self, message: str, *, param: str | None = None, hint: str = "") -> None:
        super().__init__(message, hint=hint, param=param)


class ModelNotFound(RequestError):
    """No model of that name is installed."""

    kind = "model_not_found"

    def __init__(self, model: str, *, near: tuple[str, ...] = ()) -> None:
        meant = f"Did you mean {', '.join(repr(name) for name in near)}? " if near else ""
        message = (
            f"No model named {model[:200]!r} is installed."
            if model
            else "The request names no model."
        )
        super().__init__(
            message, hint=f"{meant}GET /v1/models lists the models.", model=model, near=list(near)
        )


class ModelDisabled(RequestError):
    """The model's file switches it off."""

    kind = "model_disabled"

    def __init__(self, model: str) -> None:
        hint = "Remove `disabled: true` from its file to use it."
        super().__init__(f"The model {model!r} is disabled.", hint=hint, model=model)


class Unsupported(RequestError):
    """This model, engine or build cannot do what was asked."""

    kind = "unsupported"

    def __init__(
        self, message: str, *, feature: str = "", hint: str = "", param: str | None = None
    ) -> None:
        super().__init__(message, hint=hint, feature=feature, param=param)


class ContextTooLong(RequestError):
    """The prompt does not fit in the model's context. Both numbers count tokens."""

    kind = "context_too_long"

    def __init__(self, *, limit: int, requested: int, param: str | None = None) -> None:
        super().__init__(
            f"The prompt is {requested} tokens; this model holds {limit}.",
            hint=f"Remove {max(1, requested - limit + 1)} tokens, or raise `context_size` in the model file.",
            limit=limit,
            requested=requested,
            param=param,
        )


class JobNotFound(RequestError):
    """No job has that id, or it was forgotten."""

    kind = "job_not_found"

    def __init__(self, job_id: str) -> None:
        super().__init__(
            f"There is no job {job_id[:200]!r}.",
            hint="Jobs that are over are forgotten in time, and when the server stops.",
            job_id=job_id,
        )


class BodyTooLarge(RequestError):
    """The request body is larger than the server accepts."""

    kind = "body_too_large"

    def __init__(self, *, limit_bytes: int) -> None:
        super().__init__(
            f"The request body is larger than the limit of {limit_bytes / 1e6:g} MB.",
            hint="Send less, or start the server with a higher --upload-limit.",
            limit_bytes=limit_bytes,
        )


class FileTooLarge(RequestError):
    """An uploaded file is larger than the server keeps."""

    kind = "file_too_large"

    def __init__(self, *, limit_bytes: int, flag: str = "--file-limit") -> None:
        super().__init__(
            f"The file is larger than the limit of {limit_bytes / 1e6:g} MB.",
            hint=f"Send a smaller one, or start the server with a higher {flag}.",
            limit_bytes=limit_bytes,
        )


class NotStored(RequestError):
    """Nothing of that id is kept for this caller."""

    kind = "not_stored"

    def __init__(self, what: str, asked_id: str, *, param: str | None = None) -> None:
        super().__init__(
            f"There is no {what} {asked_id[:80]!r}.",
            hint="It was not stored, has expired, or was deleted.",
            what=what,
            param=param,
        )


class DocumentUnreadable(RequestError):
    """A document in the request gives no text that a model could read."""

    kind = "document_unreadable"

    def __init__(
        self, document: str, why: str, *, param: str | None = None, hint: str = ""
    ) -> None:
        super().__init__(f"{document} {why}.", hint=hint, document=document, why=why, param=param)


class FetchFailed(RequestError):
    """An address in the request could not be fetched, or may not be."""

    kind = "fetch_failed"

    def __init__(self, address: str, why: str, *, param: str | None = None) -> None:
        super().__init__(
            f"{address} {why}.",
            hint="Send the data itself, as base64.",
            address=address,
            why=why,
            param=param,
        )


class RouteNotFound(RequestError):
    """Nothing is served at that path."""

    kind = "route_not_found"

    def __init__(self, method: str, path: str, known: Sequence[str]) -> None:
        near = get_close_matches(path, known, n=2)
        meant = f"Did you mean {' or '.join(near)}? " if near else ""
        super().__init__(
            f"Nothing is served at {method} {path[:200]}.",
            hint=f"{meant}GET /docs shows everything that is.",
            near=near,
        )


class MethodNotAllowed(RequestError):
    """The path exists, but not for this method."""

    kind = "method_not_allowed"

    def __init__(self, method: str, path: str, allowed: str) -> None:
        super().__init__(
            f"{path[:200]} does not answer {method}.",
            hint=f"It answers {allowed}.",
            allowed=allowed,
        )


class BodyIncomplete(RequestError):
    """The request body stopped coming before its end."""

    kind = "body_incomplete"

    def __init__(self, *, timeout_s: float) -> None:
        super().__init__(
            f"The request body stopped coming: nothing arrived for {timeout_s:g} s.",
            hint="Send the request again, whole.",
            timeout_s=timeout_s,
        )


class CrossSite(RequestError):
    """A browser sent the request from another site, and it carries no key."""

    kind = "cross_site"

    def __init__(self) -> None:
        super().__init__(
            "A page of another site sent this request, and it carries no API key.",
            hint="Call from the same site, or start the server with --cors and --cors-allow-origins.",
        )


class NotAuthorized(RequestError):
    """The server needs a key, and the request has none or a wrong one."""

    kind = "not_authorized"

    def __init__(self) -> None:
        super().__init__(
            "This server needs an API key, and the request has none that it knows.",
            hint="Send it as `Authorization: Bearer KEY`.",
        )


class CapacityError(LocalAIError):
    """The server cannot take this now; trying later helps."""

    kind = "capacity_error"


class QueueFull(CapacityError):
    """Too many requests wait for this model already."""

    kind = "queue_full"

    def __init__(self, model: str, *, limit: int, retry_after_s: float) -> None:
        super().__init__(
            f"{limit} requests wait for the model {model!r} already, which is the limit.",
            hint=f"Try again in {math.ceil(retry_after_s)} s.",
            model=model,
            limit=limit,
            retry_after_s=retry_after_s,
        )


class CoolingDown(CapacityError):
    """The model failed to start a moment ago and is not tried again yet."""

    kind = "cooling_down"

    def __init__(self, model: str, *, retry_after_s: float, reason: str) -> None:
        super().__init__(
            f"The model {model!r} failed to start a moment ago: {reason}",
            hint=f"It is tried again after {math.ceil(retry_after_s)} s, or as soon as its files change.",
            model=model,
            retry_after_s=retry_after_s,
            reason=reason,
        )


class OutOfMemory(CapacityError):
    """The model does not fit in the memory that is free. Sizes in bytes."""

    kind = "out_of_memory"

    def __init__(self, message: str, *, needed_bytes: int, free_bytes: int, hint: str = "") -> None:
        super().__init__(message, hint=hint, needed_bytes=needed_bytes, free_bytes=free_bytes)


class TimedOut(CapacityError):
    """A stage took longer than its limit, in seconds."""

    kind = "timed_out"

    def __init__(self, stage: str, *, timeout_s: float, hint: str = "") -> None:
        super().__init__(
            f"{stage} took longer than {timeout_s:g} s.",
            hint=hint,
            stage=stage,
            timeout_s=timeout_s,
        )


class StorageFull(CapacityError):
    """The disk has no room for a file. Sizes in bytes."""

    kind = "storage_full"

    def __init__(self, *, free_bytes: int, needed_bytes: int) -> None:
        super().__init__(
            f"The file needs {needed_bytes / 1e6:.0f} MB, and the server's disk has "
            f"{free_bytes / 1e6:.0f} MB to spare.",
            hint="Delete files that are not needed any more, or make room on that disk.",
            free_bytes=free_bytes,
            needed_bytes=needed_bytes,
        )


class ShuttingDown(CapacityError):
    """The server is stopping and takes no new work."""

    kind = "shutting_down"

    def __init__(self) -> None:
        super().__init__(
            "The server is shutting down.", hint="Try again in a moment.", retry_after_s=5.0
        )


class WorkerError(LocalAIError):
    """The engine, or the process it lives in, failed."""

    kind = "worker_error"


class StartFailed(WorkerError):
    """The worker did not become ready; `log_tail` is what the engine printed last."""

    kind = "start_failed"

    def __init__(self, message: str, *, log_tail: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint, log_tail=log_tail)


class Crashed(WorkerError):
    """The worker process died while it worked."""

    kind = "crashed"

    def __init__(self, model: str, *, exit_code: int | None = None, log_tail: str = "") -> None:
        how = f" ({how_it_ended(exit_code)})" if exit_code is not None else ""
        super().__init__(
            f"The worker of the model {model!r} died{how}.",
            hint=f"{hint_about(exit_code)} The next request starts a fresh one.".strip(),
            model=model,
            exit_code=exit_code,
            log_tail=log_tail,
        )


class EngineFailed(WorkerError):
    """The engine reported an error that is not the caller's."""

    kind = "engine_failed"


class StreamRuleBroken(WorkerError):
    """A worker sent events in an illegal order: a bug in a backend, never the caller's fault."""

    kind = "stream_rule_broken"


class SetupError(LocalAIError):
    """The operator of the server can fix it."""

    kind = "setup_error"


class SpecInvalid(SetupError):
    """A model file is wrong; `problems` lists every one of them as `file:line: key: problem`."""

    kind = "spec_invalid"

    def __init__(self, message: str, *, problems: tuple[str, ...] = (), hint: str = "") -> None:
        super().__init__(message, hint=hint, problems=list(problems))


class ModelFileInvalid(SetupError):
    """A weights file is missing, damaged or of an unknown format."""

    kind = "model_file_invalid"

    def __init__(self, message: str, *, path: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint, path=path)


class BackendNotInstalled(SetupError):
    """The model needs an engine that is not here."""

    kind = "backend_not_installed"

    def __init__(self, message: str, *, command: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint, command=command)


class InstallFailed(SetupError):
    """An engine could not be installed; `log_tail` is what the installer printed last."""

    kind = "install_failed"

    def __init__(self, message: str, *, log_tail: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint, log_tail=log_tail)


class InstallBusy(SetupError):
    """Another process installs or removes the same engine at this moment."""

    kind = "install_busy"

    def __init__(self, backend: str) -> None:
        super().__init__(
            f"Another process installs or removes the backend {backend!r} at this moment.",
            hint="Wait until it has ended, then try again.",
            backend=backend,
        )


class SettingInvalid(SetupError):
    """A flag, an environment variable or a value in a settings file is wrong."""

    kind = "setting_invalid"


class ChecksumMismatch(SetupError):
    """A download differs from what was announced."""

    kind = "checksum_mismatch"

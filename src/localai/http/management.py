"""The routes that show and change what is installed: engines, models, and where they come from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from localai.dialects import native, ollama
from localai.http.backends import BackendEndpoints
from localai.http.galleries import GalleryEndpoints
from localai.http.models import ModelEndpoints
from localai.http.ollama_blobs import OllamaBlobs
from localai.http.ollama_models import OllamaModels
from localai.http.rows import JSON, RouteRow
from localai.http.services import Services


def backend_rows(services: Services) -> Iterator[RouteRow]:
    """Engines. Everybody may look; changing anything can be turned off."""
    ends = BackendEndpoints(services)
    get = RouteRow(method="GET", path="", endpoint=None, summary="", tag="Backends")
    for path, handler, summary in (
        ("/backends", ends.installed, "List the installed engines"),
        ("/backends/available", ends.available, "List every engine there is"),
        ("/backends/known", ends.available, "List every engine there is"),
        ("/backends/galleries", ends.galleries, "Where engines come from"),
        ("/backends/upgrades", ends.upgrades, "List the engines that can be upgraded"),
        ("/backends/jobs", ends.jobs, "List the jobs"),
    ):
        yield replace(get, path=path, endpoint=ends.route(handler), summary=summary)
    yield replace(
        get,
        path="/backends/jobs/{job_id}",
        endpoint=ends.route(ends.job),
        summary="Show how far a job is",
        name="backend_job",
    )
    if services.settings.disable_gallery_endpoint:
        return
    post = replace(get, method="POST")
    changing = (
        ("/backends/apply", ends.route(ends.apply), "Install an engine", native.ApplyBody),
        ("/backends/delete/{name}", ends.route(ends.delete), "Remove an engine", None),
        ("/backends/upgrade/{name}", ends.route(ends.upgrade), "Upgrade an engine", None),
        ("/backends/upgrades/check", ends.route(ends.upgrades), "Look for upgrades", None),
        ("/backends/jobs/{job_id}/cancel", ends.route(ends.cancel), "Stop a job", None),
    )
    for path, endpoint, summary, body in changing:
        yield replace(post, path=path, endpoint=endpoint, summary=summary, body=body)


def model_rows(services: Services) -> Iterator[RouteRow]:
    """Installing models. Everybody may look; changing anything can be turned off."""
    ends = ModelEndpoints(services)
    get = RouteRow(
        method="GET", path="/models/jobs", endpoint=ends.route(ends.jobs), summary="List the jobs", tag="Models"
    )  # fmt: skip
    yield get
    one = "/models/jobs/{job_id}"
    yield replace(
        get, path=one, endpoint=ends.route(ends.job), summary="Show how far a job is", name="model_job"
    )  # fmt: skip
    yield replace(
        get,
        path="/models/edit/{name:path}",
        endpoint=ends.route(ends.show_file),
        summary="Show a model file",
        media_type="application/yaml",
    )
    yield replace(
        get,
        path="/api/aliases",
        endpoint=ends.route(ends.aliases),
        summary="Which names stand for other models",
    )
    if services.settings.disable_gallery_endpoint:
        return
    post = replace(get, method="POST")
    changing: tuple[tuple[str, Any, str, type | None], ...] = (
        ("/models/apply", ends.apply, "Install a model", native.ModelApplyBody),
        ("/models/import-uri", ends.import_uri, "Install a model from where it is", native.ImportUriBody),
        ("/models/delete/{name:path}", ends.delete, "Remove a model", None),
        ("/models/import", ends.import_file, "Add a model file", str),
        ("/models/edit/{name:path}", ends.edit_file, "Replace a model file", str),
        ("/models/reload", ends.reload, "Look at the models folder now", None),
        (f"{one}/cancel", ends.cancel, "Stop a job", None),
        (f"{one}/pause", ends.pause, "Stop a job for now", None),
        (f"{one}/resume", ends.resume, "Go on with a job", None),
    )  # fmt: skip
    for path, handler, summary, body in changing:
        kind = "application/yaml" if body is str else JSON
        yield replace(
            post, path=path, endpoint=ends.route(handler), summary=summary, body=body, body_media_type=kind
        )  # fmt: skip
    put = replace(get, method="PUT")
    for path, handler, summary in (
        ("/models/toggle-state/{name:path}/{action}", ends.toggle_state, "Let a model answer or not"),
        ("/models/toggle-pinned/{name:path}/{action}", ends.toggle_pinned, "Keep a model in memory or not"),
    ):  # fmt: skip
        yield replace(put, path=path, endpoint=ends.route(handler), summary=summary)


def ollama_rows(services: Services) -> Iterator[RouteRow]:
    """Installing models as Ollama's clients do it."""
    if services.settings.disable_gallery_endpoint:
        return
    ends = OllamaModels(services)
    post = RouteRow(
        method="POST",
        path="/api/pull",
        endpoint=ends.route(ends.pull),
        summary="Install a model",
        tag="Ollama",
        body=ollama.PullBody,
        spell_error=ollama.error_reply,
    )
    yield post
    yield replace(
        post,
        path="/api/copy",
        endpoint=ends.route(ends.copy),
        summary="Copy a model",
        body=ollama.CopyBody,
        media_type="text/plain",
    )
    yield replace(
        post,
        path="/api/create",
        endpoint=ends.route(ends.create),
        summary="Make a model of sent files, or of another model",
        body=ollama.CreateBody,
    )
    yield replace(
        post,
        path="/api/push",
        endpoint=ends.route(ends.push),
        summary="Refused: models are not published from here",
        body=None,
    )
    blobs = OllamaBlobs(services)
    blob = replace(post, path="/api/blobs/{digest}", body=None, media_type="text/plain")
    yield replace(
        blob,
        method="HEAD",
        endpoint=ends.route(blobs.ask),
        summary="Is a file for a model there",
    )
    yield replace(
        blob,
        endpoint=ends.route(blobs.take),
        summary="Send a file for a model",
        body_media_type="application/octet-stream",
    )
    yield replace(
        post,
        method="DELETE",
        path="/api/delete",
        endpoint=ends.route(ends.delete),
        summary="Remove a model",
        media_type="text/plain",
    )


def gallery_rows(services: Services) -> Iterator[RouteRow]:
    """Where models come from."""
    ends = GalleryEndpoints(services)
    get = RouteRow(method="GET", path="", endpoint=None, summary="", tag="Galleries")
    for path, handler, summary in (
        ("/models/available", ends.available, "List the models that can be installed"),
        ("/models/galleries", ends.galleries, "Where models come from"),
    ):
        yield replace(get, path=path, endpoint=handler, summary=summary)

"""The endpoints about where models come from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from starlette.responses import Response

from localai.gallery import search
from localai.gallery.shown import entry_json

if TYPE_CHECKING:
    from starlette.requests import Request

    from localai.http.services import Services

_LONGEST_QUERY = 200


class GalleryEndpoints:
    """Galleries, as LocalAI's routes have them."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def galleries(self, _request: Request) -> Response:
        """Where models come from, the first one first."""
        listed = self._services.supply.galleries.galleries
        body = msgspec.json.encode([{"name": one.name, "url": one.url} for one in listed])
        return Response(body, media_type="application/json")

    async def available(self, request: Request) -> Response:
        """Every model that can be installed; `?search=` wants every word somewhere in it.

        What kept a gallery from being read stands in the header `Local-AI-Warning`.
        """
        galleries = self._services.supply.galleries
        listing = await galleries.listing()
        words = request.query_params.get("search", "")[:_LONGEST_QUERY]
        places = {one.name: one for one in galleries.galleries}
        installed = self._services.library.catalog().specs
        rows = [
            entry_json(
                entry,
                places.get(entry.gallery),
                is_installed=entry.name in installed,
                runs_here=galleries.runs(entry),
            )
            for entry in search(listing.entries, words)
        ]
        headers = {"Local-AI-Warning": _for_header(listing.problems)} if listing.problems else {}
        return Response(msgspec.json.encode(rows), media_type="application/json", headers=headers)


def _for_header(problems: tuple[str, ...]) -> str:
    text = " ".join(problems)[:1000]
    return text.encode("ascii", "replace").decode().replace("\n", " ").replace("\r", " ")

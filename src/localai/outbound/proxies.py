"""Which proxy a request goes through, from the variables that programs share.

Source: `http_proxy`, `https_proxy`, `all_proxy` and `no_proxy` as curl and Python read them; the
lower-case spelling wins.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit
from urllib.request import proxy_bypass_environment  # type: ignore[attr-defined]  # typeshed lacks it

from localai.domain.errors import FetchFailed

_SHOWN: Final = 200


class Proxies:
    """The proxies of one environment."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._found = {
            kind: value
            for kind in ("http", "https", "all", "no")
            for name in (f"{kind.upper()}_PROXY", f"{kind}_proxy")
            if (value := environment.get(name, "").strip())
        }

    def of(self, address: str) -> str | None:
        """The proxy for `address`, None when it is asked directly.

        Raises FetchFailed for one that cannot be asked: SOCKS is not spoken here.
        """
        parts = urlsplit(address)
        found = self._found.get(parts.scheme) or self._found.get("all")
        if not found or proxy_bypass_environment(parts.netloc.rpartition("@")[2], self._found):
            return None
        proxy = found if "://" in found else f"http://{found}"
        try:
            said = urlsplit(proxy)
            is_usable = said.scheme in ("http", "https") and said.hostname and said.port != 0
        except ValueError:
            is_usable = False
        if not is_usable:
            shown = proxy.rpartition("@")[2] if "@" in proxy else proxy
            why = f"cannot be asked: the proxy {shown[:_SHOWN]} of the environment is no HTTP proxy"
            raise FetchFailed(parts.hostname or address[:_SHOWN], why)
        return proxy

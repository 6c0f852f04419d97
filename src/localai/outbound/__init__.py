"""The one way out: every request that this server makes to an address from elsewhere.

`fetch.Fetcher` gets small things that a caller's request names: it limits size, time and type, and
refuses addresses inside the network it runs in. `client.Client` is for downloads and registries.
Nobody else knows the library that makes connections; it is imported with the first request.
"""

from localai.outbound.addresses import PrivateAddress
from localai.outbound.broken import Broken, Untrusted
from localai.outbound.client import Client, ClientSettings, Response
from localai.outbound.fetch import Fetched, Fetcher, FetchSettings
from localai.outbound.proxies import Proxies

__all__ = [
    "Broken",
    "Client",
    "ClientSettings",
    "FetchSettings",
    "Fetched",
    "Fetcher",
    "PrivateAddress",
    "Proxies",
    "Response",
    "Untrusted",
]

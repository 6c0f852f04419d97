"""The one way out: every request that this server makes to an address from elsewhere.

`fetch.Fetcher` gets small things that a caller's request names: it limits size, time and type, and
refuses addresses inside the network it runs in. `client.Client` is for downloads and registries.
"""

from localai.outbound.client import Client, ClientSettings
from localai.outbound.fetch import Fetched, Fetcher, FetchSettings
from localai.outbound.proxies import Proxies

__all__ = ["Client", "ClientSettings", "FetchSettings", "Fetched", "Fetcher", "Proxies"]

"""The one way out: every request that this server makes to an address from a caller.

`fetch.Fetcher` limits size, time and type, and refuses addresses inside the network it runs in.
"""

from localai.outbound.fetch import Fetched, Fetcher, FetchSettings

__all__ = ["FetchSettings", "Fetched", "Fetcher"]

"""Bringing models into the models folder: whole and verified, or not at all.

`install.Installer` does what a plan says; `download.Downloader` fetches files, `transfer` the ranges
of one, `partial` keeps what came for the next try, `receipts` puts all of a model in place at once.
`names` says which names are allowed.
"""

from localai.downloads.download import Downloader
from localai.downloads.install import Installer
from localai.downloads.names import model_file_name, safe_name
from localai.downloads.receipts import Receipt, Receipts
from localai.downloads.settings import DownloadSettings

__all__ = [
    "DownloadSettings",
    "Downloader",
    "Installer",
    "Receipt",
    "Receipts",
    "model_file_name",
    "safe_name",
]

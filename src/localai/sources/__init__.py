"""Where models come from, one file per source: a name becomes a list of files to fetch.

`names.parse` says (pure) which source a name means; `find.Sources` asks it. A source knows names,
sizes, checksums and addresses; it fetches no weights and chooses nothing. To add one: a file here
with a class that has `look`, a row in `find`, and its spelling in `names`.
"""

from localai.sources.find import Sources
from localai.sources.names import is_written_as_source, parse
from localai.sources.settings import SourceSettings, source_settings

__all__ = ["SourceSettings", "Sources", "is_written_as_source", "parse", "source_settings"]

"""Where models come from: indexes of models that can be installed, and what installing one takes.

`Planner.plan` is the way in: it turns what a user calls a model, an entry's name or where its
files are, into a `domain.downloads.ModelPlan`. `Galleries` holds the indexes, `listing_plan` infers
a model from files alone. Nothing here downloads a model. `index` reads LocalAI's format,
`fit` chooses among builds and is pure, `models.yaml` is our own index.

To add a model to our index, add its entry to `models.yaml`; tests/gallery says what it must have.
"""

from localai.gallery.entry import Entry, EntryFile, EntryPlan, TemplateFile
from localai.gallery.fit import Build, Choice, builds_of, choose_build
from localai.gallery.galleries import Galleries, Listing
from localai.gallery.places import Gallery, galleries_of
from localai.gallery.planner import Planner
from localai.gallery.search import search

__all__ = [
    "Build",
    "Choice",
    "Entry",
    "EntryFile",
    "EntryPlan",
    "Galleries",
    "Gallery",
    "Listing",
    "Planner",
    "TemplateFile",
    "builds_of",
    "choose_build",
    "galleries_of",
    "search",
]

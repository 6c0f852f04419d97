"""Where models come from: indexes of models that can be installed, and what installing one takes.

`Galleries.find` looks an entry up by `name` or `gallery@name`, `Galleries.plan` says which build of
it fits this machine and gives the model file and the files to download. Nothing here downloads a
model: whoever installs one does what an `EntryPlan` says. `index` reads LocalAI's format,
`fit` chooses among builds and is pure, `models.yaml` is our own index.

To add a model to our index, add its entry to `models.yaml`; tests/gallery says what it must have.
"""

from localai.gallery.entry import Entry, EntryFile, EntryPlan, TemplateFile
from localai.gallery.fit import Build, Choice, builds_of, choose_build
from localai.gallery.galleries import Galleries, Listing
from localai.gallery.places import Gallery, galleries_of
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
    "TemplateFile",
    "builds_of",
    "choose_build",
    "galleries_of",
    "search",
]

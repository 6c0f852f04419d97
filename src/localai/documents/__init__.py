"""Documents as text: what a caller sends beside its words, made readable for a model.

`reader.DocumentReader` is the only thing others use. Formats that are more than text are read by
`child`, a program that runs in a process of its own with limits, because a document may be built
to do harm. `kinds` tells what a document is. To read another format: a kind, and a function in
`child`.
"""

from localai.documents.kinds import Kind, filename_of, kind_of, media_type_of_file
from localai.documents.reader import DocumentReader, Pages, ReaderLimits

__all__ = [
    "DocumentReader",
    "Kind",
    "Pages",
    "ReaderLimits",
    "filename_of",
    "kind_of",
    "media_type_of_file",
]

"""Go's text/template with sprig's functions, for the prompt templates of model files.

`parse` checks a source once; `Template.render` writes its text for some data, as often as needed.
Data are texts, numbers, lists, maps and Records: a map lacks a key quietly, a Record does not.
Nothing here reads a file, and no template can run for long or write without end.
docs/reference/templates.md says what is supported.
"""

from localai.catalog.gotemplate.errors import GoTemplateError
from localai.catalog.gotemplate.template import Template, parse
from localai.catalog.gotemplate.values import PrintedList, PrintedMap, Record

__all__ = ["GoTemplateError", "PrintedList", "PrintedMap", "Record", "Template", "parse"]

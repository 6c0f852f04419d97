"""A parsed template, ready to be rendered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from localai.catalog.gotemplate.errors import GoTemplateError
from localai.catalog.gotemplate.evaluate import Run
from localai.catalog.gotemplate.functions import FUNCTIONS
from localai.catalog.gotemplate.parser import Tree, parse_tree


def _local_time() -> datetime:
    return datetime.now().astimezone()


@dataclass(frozen=True, slots=True)
class Template:
    """A template that parsed; `name` is for messages, for example its key in a model file."""

    name: str
    source: str
    tree: Tree

    def render(self, data: Any, *, now: Callable[[], datetime] = _local_time) -> str:
        """Give the template's text for `data`. Raises GoTemplateError."""
        return Run(self.source, self.tree, now).text(data)


def parse(source: str, name: str) -> Template:
    """Parse a template's source. Raises GoTemplateError."""
    try:
        return Template(name, source, parse_tree(source, FUNCTIONS))
    except RecursionError:
        raise GoTemplateError("the template is nested too deep", 1, 1) from None

"""Where the model's thoughts stand in a reasoning item, and the events that bring them.

They are its `content`. A caller who asks for a summary looks for them in `summary` and nowhere
else; nothing sums up a model's thoughts better than they do themselves, so they move there whole.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from localai.dialects.openresponses.items import Item


class Place(NamedTuple):
    """One of the two lists of a reasoning item: the type of its parts, its index and its events."""

    field: str
    part_type: str
    index_name: str
    part_added: str
    delta: str
    done: str
    part_done: str

    def part(self, text: str) -> Item:
        """A part of the list."""
        return {"type": self.part_type, "text": text}


CONTENT: Final = Place(
    field="content",
    part_type="reasoning_text",
    index_name="content_index",
    part_added="response.content_part.added",
    delta="response.reasoning_text.delta",
    done="response.reasoning_text.done",
    part_done="response.content_part.done",
)
SUMMARY: Final = Place(
    field="summary",
    part_type="summary_text",
    index_name="summary_index",
    part_added="response.reasoning_summary_part.added",
    delta="response.reasoning_summary_text.delta",
    done="response.reasoning_summary_text.done",
    part_done="response.reasoning_summary_part.done",
)

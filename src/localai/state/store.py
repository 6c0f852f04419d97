"""What the use cases ask of a store."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from localai.state.values import (
    Event,
    Item,
    Page,
    PageQuery,
    StoredConversation,
    StoredResponse,
)

Ending = Callable[[StoredResponse, int], tuple[bytes, Sequence[Event]]]
"""From a response that will not end and the number of its next event: its last body and events."""


class ResponseStore(Protocol):
    """Keeps responses and conversations.

    Everything belongs to an owner, and is not there for anyone else: what is asked for and not
    there raises NotStored. Every method is atomic.
    """

    async def add(
        self, response: StoredResponse, given: Sequence[Item], said: Sequence[Item] = ()
    ) -> None:
        """Keep a response with its input and output.

        One that has ended adds both to its conversation. Raises InvalidRequest for a used id.
        """
        ...

    async def end(
        self, response: StoredResponse, said: Sequence[Item], first: int, events: Sequence[Event]
    ) -> bool:
        """Keep how a response that was added ended: its output and last events.

        Its conversation grows. False, and no effect, when it was deleted or has ended already.
        """
        ...

    async def update(self, response_id: str, status: str, body: bytes) -> bool:
        """Replace the state and body of a running response; False when it is not running."""
        ...

    async def get(self, response_id: str, owner: str) -> StoredResponse:
        """A response."""
        ...

    async def delete(self, response_id: str, owner: str) -> None:
        """Forget a response with its items and events."""
        ...

    async def history(self, response_id: str, owner: str) -> tuple[bytes, ...]:
        """The input and output of a response and of all that came before it, oldest first."""
        ...

    async def input_items(self, response_id: str, owner: str, query: PageQuery) -> Page:
        """A page of the input of a response."""
        ...

    async def find_items(self, item_ids: Sequence[str], owner: str) -> Mapping[str, bytes]:
        """Those of the items that are kept anywhere."""
        ...

    async def append_events(self, response_id: str, first: int, events: Sequence[Event]) -> None:
        """Keep the next events, of which the first has the number `first`."""
        ...

    async def drop_events(self, response_id: str, before: int) -> None:
        """Forget the events with smaller numbers."""
        ...

    async def events(
        self, response_id: str, after: int, limit: int
    ) -> tuple[tuple[int, bytes, str], ...]:
        """Up to `limit` events with numbers above `after`: number, JSON, name."""
        ...

    async def recover(self, ending: Ending) -> int:
        """End what servers left running when they died; gives how many there were."""
        ...

    async def runs_elsewhere(self, response_id: str) -> bool:
        """Whether another server, which lives, works on a response."""
        ...

    async def add_conversation(
        self, conversation: StoredConversation, items: Sequence[Item]
    ) -> None:
        """Keep a conversation and what it begins with."""
        ...

    async def conversation(self, conversation_id: str, owner: str) -> StoredConversation:
        """A conversation."""
        ...

    async def update_conversation(
        self, conversation_id: str, owner: str, metadata: Mapping[str, str]
    ) -> StoredConversation:
        """Replace the metadata of a conversation."""
        ...

    async def delete_conversation(self, conversation_id: str, owner: str) -> None:
        """Forget a conversation with its items."""
        ...

    async def add_items(self, conversation_id: str, owner: str, items: Sequence[Item]) -> None:
        """Add items to a conversation; those it has already stay as they are."""
        ...

    async def conversation_items(self, conversation_id: str, owner: str, query: PageQuery) -> Page:
        """A page of the items of a conversation."""
        ...

    async def conversation_history(self, conversation_id: str, owner: str) -> tuple[bytes, ...]:
        """All items of a conversation, oldest first."""
        ...

    async def conversation_item(self, conversation_id: str, item_id: str, owner: str) -> bytes:
        """One item of a conversation."""
        ...

    async def delete_item(self, conversation_id: str, item_id: str, owner: str) -> None:
        """Forget one item of a conversation."""
        ...

    async def close(self) -> None:
        """Write what is left and let go of the file."""
        ...

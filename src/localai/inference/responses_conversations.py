"""Conversations: lists of items that responses go on with and add to."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

from localai.state import Item, Page, PageQuery, ResponseStore, StoredConversation


class Conversations:
    """Conversations and their items. `new_id` makes the unique tails of ids."""

    def __init__(
        self,
        store: ResponseStore,
        new_id: Callable[[], str],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._new_id = new_id
        self._clock = clock

    async def create(
        self, owner: str, metadata: Mapping[str, str], items: Sequence[Item]
    ) -> StoredConversation:
        """A new conversation that begins with `items`."""
        conversation = StoredConversation(
            conversation_id=f"conv_{self._new_id()}", created_unix_s=int(self._clock()),
            owner=owner, metadata=metadata,
        )  # fmt: skip
        await self._store.add_conversation(conversation, items)
        return conversation

    async def get(self, conversation_id: str, owner: str) -> StoredConversation:
        """A conversation. Raises NotStored."""
        return await self._store.conversation(conversation_id, owner)

    async def update(
        self, conversation_id: str, owner: str, metadata: Mapping[str, str]
    ) -> StoredConversation:
        """Replace the metadata of a conversation. Raises NotStored."""
        return await self._store.update_conversation(conversation_id, owner, metadata)

    async def delete(self, conversation_id: str, owner: str) -> None:
        """Forget a conversation with its items. Raises NotStored."""
        await self._store.delete_conversation(conversation_id, owner)

    async def add_items(self, conversation_id: str, owner: str, items: Sequence[Item]) -> None:
        """Add items at the end. Raises NotStored."""
        await self._store.add_items(conversation_id, owner, items)

    async def items(self, conversation_id: str, owner: str, query: PageQuery) -> Page:
        """A page of the items. Raises NotStored."""
        return await self._store.conversation_items(conversation_id, owner, query)

    async def item(self, conversation_id: str, item_id: str, owner: str) -> bytes:
        """One item. Raises NotStored."""
        return await self._store.conversation_item(conversation_id, item_id, owner)

    async def delete_item(
        self, conversation_id: str, item_id: str, owner: str
    ) -> StoredConversation:
        """Forget one item; gives the conversation. Raises NotStored."""
        await self._store.delete_item(conversation_id, item_id, owner)
        return await self._store.conversation(conversation_id, owner)

"""Patterns of texts of a length: a pattern that has it anyway, or repeats its parts to have it."""

from __future__ import annotations

from dataclasses import replace

from localai.worker.json_schema.regex import ANY, Alt, BadRegex, Regex, Rep, Seq, lengths


def of_length(tree: Regex, least: int, most: int | None) -> Regex:
    """An anchorless tree of those texts of `tree` that have `least` to `most` characters.

    It may leave out some of them, but never all. Raises BadRegex when it cannot be had so.
    """
    low, high = lengths(tree)
    if low >= least and (most is None or (high is not None and high <= most)):
        return tree
    if isinstance(tree, Alt):
        return _of_some(tree, least, most)
    items: list[Regex] = list(tree.items) if isinstance(tree, Seq) else [tree]
    flexible = [place for place, item in enumerate(items) if _width(item)]
    # Parts that stand for any text give way first.
    order = sorted(flexible, key=lambda place: (not _is_any_text(items[place]), place))
    if not order:
        raise _unfit(tree)
    if most is not None:
        _limit(items, order, least, most)
    deficit = least - lengths(Seq(tuple(items)))[0]
    for place in reversed(order):
        part = items[place]
        assert isinstance(part, Rep)
        width = lengths(part.inner)[0]
        more = -(-max(deficit, 0) // width)
        if part.most is not None:
            more = min(more, part.most - part.least)
        items[place] = replace(part, least=part.least + more)
        deficit -= more * width
    found = Seq(tuple(items))
    low, high = lengths(found)
    if low < least or (most is not None and (high is None or high > most)):
        raise _unfit(tree)
    return found


def _is_any_text(item: Regex) -> bool:
    return isinstance(item, Rep) and item.inner == ANY


def _width(item: Regex) -> int:
    """How many characters each turn of a repetition adds; 0 if that is not always the same."""
    if not isinstance(item, Rep) or item.least == item.most:
        return 0
    low, high = lengths(item.inner)
    return low if low == high else 0


def _limit(items: list[Regex], order: list[int], least: int, most: int) -> None:
    """Let the parts in `order` share the room that the others leave, the last one the most."""
    low = lengths(Seq(tuple(items)))[0]
    fixed = [item for place, item in enumerate(items) if place not in order]
    fixed_low, fixed_high = lengths(Seq(tuple(fixed)))
    if fixed_high is None:
        raise _unfit(Seq(tuple(items)))
    room = most - low - (fixed_high - fixed_low)
    for taken, place in enumerate(order):
        part = items[place]
        assert isinstance(part, Rep)
        width = lengths(part.inner)[0]
        is_last = taken == len(order) - 1
        share = room if is_last else 0 if low < least else room // (len(order) - taken)
        turns = max(share, 0) // width
        if part.most is not None:
            turns = min(turns, part.most - part.least)
        items[place] = replace(part, most=part.least + turns)
        room -= turns * width


def _of_some(tree: Alt, least: int, most: int | None) -> Regex:
    """The alternatives that can have the length; one that never has it is left out."""
    kept = []
    for option in tree.options:
        low, high = lengths(option)
        if (most is None or low <= most) and (high is None or high >= least):
            kept.append(of_length(option, least, most))
    if not kept:
        raise _unfit(tree)
    return kept[0] if len(kept) == 1 else Alt(tuple(kept))


def _unfit(tree: Regex) -> BadRegex:
    low, high = lengths(tree)
    size = f"{low}" if low == high else f"{low} or more" if high is None else f"{low} to {high}"
    return BadRegex(f"its texts have {size} characters")

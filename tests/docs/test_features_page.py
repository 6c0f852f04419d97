"""The page of features says what the tests show, and no cell is without one."""

from __future__ import annotations

from tests.features.page import AGAIN, PAGE, covered, page, wanted


def test_every_cell_has_a_test() -> None:
    assert wanted() - covered().keys() == set()


def test_every_mark_has_its_cell() -> None:
    assert covered().keys() - wanted() == set()


def test_the_page_is_that_of_the_tests() -> None:
    assert PAGE.read_text() == page(), AGAIN

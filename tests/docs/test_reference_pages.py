"""The pages of settings and errors say what the code says."""

from __future__ import annotations

import pytest

from localai.dialects.openai.errors import ERRORS
from localai.settings import rows
from tests.docs.reference_pages import AGAIN, FOLDER, PAGES, errors_page, settings_page


@pytest.mark.parametrize("name", list(PAGES))
def test_a_page_is_that_of_the_code(name: str) -> None:
    assert (FOLDER / name).read_text() == PAGES[name](), AGAIN


def test_every_setting_and_variable_is_on_its_page() -> None:
    page = settings_page()
    for row in rows():
        assert page.count(f"`{row.flag}`") == 1
        assert all(f"`{variable}`" in page for variable in row.variables)


def test_every_kind_that_a_user_can_meet_is_on_its_page() -> None:
    page = errors_page()
    families = {"error", "request_error", "capacity_error", "worker_error", "setup_error"}
    assert [kind for kind in ERRORS if f"| `{kind}` |" not in page] == [
        k for k in ERRORS if k in families
    ]

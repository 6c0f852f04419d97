"""The table of keys and its page say the same."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from localai.catalog.compat import TOP, Key, Place, Section
from localai.catalog.read import parse_yaml

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "model_files.md").read_text()


def acted_on(keys: Mapping[str, Key | Section], prefix: str = "") -> Iterator[str]:
    for name, key in keys.items():
        if isinstance(key, Section):
            inner = "" if name == "parameters" else f"{prefix}{name}."
            yield from acted_on(key.keys, inner)
        elif key.place not in {Place.LATER, Place.NOTHING}:
            yield prefix + name


def test_every_key_that_is_acted_on_is_documented() -> None:
    documented = set(re.findall(r"`([\w.]+)`", PAGE))
    assert [name for name in acted_on(TOP) if name not in documented] == []


def test_every_key_in_the_tables_is_known() -> None:
    rows = re.findall(r"^\| ((?:`[\w.]+`(?:, )?)+) \|", PAGE, re.MULTILINE)
    documented = {name for row in rows for name in re.findall(r"`([\w.]+)`", row)}
    assert documented - set(acted_on(TOP)) == set()
    assert len(documented) > 60


def test_the_example_of_the_page_is_right() -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    models = parse_yaml(example, shown="phi.yaml", models_path=Path("/models"))
    assert (models.problems, models.warnings) == ((), ())
    assert models.specs[0].sampling.temperature == 0.6

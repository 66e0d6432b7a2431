"""The generated parts of the documents."""

import pytest

from docs import generate


@pytest.mark.parametrize("name", generate.DOCUMENTS)
def test_the_generated_parts_of_a_document_are_as_the_code_has_them(name: str) -> None:
    """Whoever changed the code ran `make docs`."""
    text = (generate.ROOT / name).read_text(encoding="utf-8")

    assert generate.generated(text) == text


def test_a_part_is_replaced_and_what_stands_around_it_is_kept() -> None:
    """Only what is between the markers belongs to the code."""
    text = "before\n<!-- generated: diagram -->\nold\n<!-- end -->\nafter\n"

    assert generate.generated(text) == f"before\n<!-- generated: diagram -->\n{generate.diagram()}<!-- end -->\nafter\n"


def test_a_part_the_code_does_not_know_is_an_error() -> None:
    """A misspelt name must not stay empty for ever."""
    with pytest.raises(KeyError):
        generate.generated("<!-- generated: weather -->\n<!-- end -->\n")

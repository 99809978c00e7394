"""The pages of the two terms have what an entry needs: definition, picture, origin, word, use, claims, relatives."""

import re

import chapters
import pytest
from sections import TEXTS, links

TERMS = {"gradient_penalty": "gp-", "gradient_norm_scaling": "gns-"}
PARTS = [
    "A picture, and where it misleads",
    "Where it comes from",
    "The word",
    "Who uses it, and at which setting",
    "What is said about it, measured",
    "Related words",
]
each = pytest.mark.parametrize("name", TERMS)


def parts(name: str) -> dict[str, str]:
    """What stands before the first section, under "", and each section's text."""
    first, *rest = re.split(r"^## (.+)$", TEXTS[f"book/{name}"], flags=re.MULTILINE)
    return {"": first} | dict(zip(rest[::2], rest[1::2], strict=True))


def rows(text: str) -> list[list[str]]:
    """The cells of a table, its head left out."""
    lines = [line for line in text.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


@each
def test_it_has_all_parts_in_order(name):
    assert list(parts(name)) == ["", *PARTS]


@each
def test_it_begins_with_a_sentence_an_equation_and_a_figure(name):
    first = parts(name)[""]
    assert re.search(r"^\*\*[A-Z].+\.\*\*", first, re.MULTILINE) and first.count("$$") == 2
    (figure,) = re.findall(r":file: (\S+)", first)
    assert (chapters.ROOT / "book" / figure).exists()
    assert any(section for _, section in links(f"book/{name}", first))


@each
def test_a_picture_is_told_with_what_is_right_and_what_is_not(name):
    picture = parts(name)[PARTS[0]]
    assert "What is right in this picture" in picture and "Three things are not in the picture" in picture
    misleading = re.findall(r"^- (.+)$", picture, re.MULTILINE)
    assert len(misleading) == 3 and sum("{measured}" in line for line in misleading) >= 2


@each
def test_its_origin_is_a_line_of_years_with_sources(name):
    found = rows(parts(name)[PARTS[1]])
    years = [int(re.match(r"\d{4}", year)[0]) for year, *_ in found]
    assert len(found) >= 7 and years == sorted(years)
    assert all("](https://" in source for *_, source in found)


@each
def test_every_use_leads_to_a_line_of_code(name):
    found = rows(parts(name)[PARTS[3]])
    line = re.compile(r"github\.com/[\w.-]+/[\w.-]+/blob/[0-9a-f]{40}/\S+#L\d+")
    assert len(found) >= 6 and all(line.search(" ".join(row)) for row in found)


@each
def test_it_has_its_word_its_claims_and_its_relatives(name):
    found = parts(name)
    assert len(found[PARTS[2]].split()) >= 40 and "`" in found[PARTS[2]]
    assert f"```{{claims}} {TERMS[name]}\n```" in found[PARTS[4]]
    assert len(re.findall(r"\{term\}`", found[PARTS[5]])) >= 8 and "Not the same" in found[PARTS[5]]
    (other,) = set(TERMS) - {name}
    assert (f"book/{other}", "") in links(f"book/{name}", found[PARTS[5]])
    assert any(document == "book/questions" for document, _ in links(f"book/{name}"))

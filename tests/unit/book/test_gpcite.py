"""The bibliography lists what is cited, and says where."""

import re

import gpcite
import pytest

BIB = (gpcite.ROOT / "book" / "references.bib").read_text(encoding="utf-8")
ENTRIES = dict(re.findall(r"^@\w+\{(\w+),.*?url=\{([^}]+)\}", BIB, re.MULTILINE))
DOIS = dict(re.findall(r"^@\w+\{(\w+),.*?doi=\{([^}]+)\}", BIB, re.MULTILINE))
# Where code, documentation, threads and this book itself stand; what is linked from elsewhere is a paper.
NO_PAPERS = {
    *("github.com", "gradient-penalty-book.github.io", "colab.research.google.com", "docs.pytorch.org", "nn.labml.ai"),
    *("pythonot.github.io", "distributed.dask.org", "pre-commit.com", "ai.stackexchange.com"),
}
ENTRIES |= {name: f"https://doi.org/{doi}" for name, doi in DOIS.items()}


def test_addresses_of_one_paper_are_one():
    one = gpcite.address("https://arxiv.org/abs/1704.00028")
    for other in ("http://arxiv.org/pdf/1704.00028v3.pdf", "https://arxiv.org/abs/1704.00028v2/"):
        assert gpcite.address(other) == one
    assert one != gpcite.address("https://arxiv.org/abs/1704.00029")


@pytest.mark.parametrize("name", ENTRIES)
def test_every_paper_of_the_bibliography_is_cited(name):
    pages = gpcite.cited_in()
    assert gpcite.address(ENTRIES[name]) in pages, f"{name} is linked from no page"


def test_every_cited_paper_is_in_the_bibliography():
    listed = {gpcite.address(url) for url in ENTRIES.values()}
    papers = {url for url in gpcite.cited_in() if url.partition("/")[0] not in NO_PAPERS}
    assert papers <= listed, sorted(papers - listed)


def test_the_entries_say_where_they_are_cited(monkeypatch):
    monkeypatch.setattr(gpcite, "cited_in", lambda: {"arxiv.org/abs/1": ["notebooks/06_x", "book/glossary"]})
    context = {"body": '<div class="citation" id="a"><p>A. <a href="https://arxiv.org/abs/1">b</a></p></div>'}
    gpcite.add_back_links(None, "book/bibliography", "", context, None)
    chapter, page = '<a href="../notebooks/06_x.html">chapter 6</a>', '<a href="../book/glossary.html">glossary</a>'
    assert f"Cited in {chapter}, {page}." in context["body"]

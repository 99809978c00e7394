"""What a reader sees first: the home page, the README and how to cite."""

import re

import chapters
import gpevidence
import pytest
import yaml
from sections import TEXTS, links

import gpcore

INTRO = TEXTS["book/intro"].split("## Why measure it")[0]
README = (chapters.ROOT / "README.md").read_text(encoding="utf-8")
TITLE = yaml.safe_load((chapters.ROOT / "_config.yml").read_text(encoding="utf-8"))["title"]


def test_the_first_page_says_in_five_sentences_what_came_out():
    found = re.findall(r"^- (.+)$", INTRO.split("## Where to start")[0], re.MULTILINE)
    assert len(found) == 5 and all("|both`" in sentence for sentence in found)
    assert all(links("book/intro", sentence)[0][1] for sentence in found)


def test_it_says_where_to_start():
    starts = dict(re.findall(r"^- \*\*(.+?):\*\* (.+)$", INTRO.split("## Where to start")[1], re.MULTILINE))
    assert list(starts) == ["Find an answer", "Learn", "Fix your code", "Choose a setting", "Teach"]
    assert all(links("book/intro", where) for where in starts.values())
    for start in starts:
        assert f"**{start}:**" in README


def test_the_readme_shows_what_the_book_does():
    (picture,) = re.findall(r"^!\[.{40,}\]\(([^)]+)\)$", README, re.MULTILINE)
    assert (chapters.ROOT / picture).exists() and "python -m gpcore check my_file.py:my_penalty" in README


def test_the_readme_says_the_same_with_its_numbers():
    """In bold, two digits of each; what a chapter measures anew differs by less."""
    sentences = re.findall(r"^- (.+)$", INTRO.split("## Where to start")[0], re.MULTILINE)
    told = re.findall(r"^- (.+)$", README.split("## What it found")[1].split("\n## ")[0], re.MULTILINE)
    for sentence, said in zip(sentences, told, strict=True):
        names = re.findall(r"\{measured\}`([^|]+)\|([^|]+)\|both`", sentence)
        measured = [float(gpevidence.median(*name).split()[0]) for name in names]
        numbers = [float(number) for number in re.findall(r"\*\*([\d.]+)\*\*", said)]
        assert numbers == pytest.approx(measured, rel=0.1), said


def test_all_call_it_by_one_name():
    cited = yaml.safe_load((chapters.ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert cited["title"] == TITLE and cited["cff-version"] == "1.2.0" and cited["authors"] and cited["message"]
    assert cited["version"] == gpcore.__version__
    assert README.startswith(f"# {TITLE}\n") and TEXTS["book/intro"].startswith(f"# {TITLE}\n")


@pytest.mark.parametrize("name", [name for name in TEXTS if "{measured}" in TEXTS[name] or "{verdict}" in TEXTS[name]])
def test_every_number_in_the_text_has_been_measured(name):
    for role, text in re.findall(r"\{(measured|verdict)\}`([^`]+)`", TEXTS[name]):
        (node,), _ = getattr(gpevidence, role)(role, "", text, 1, None)
        assert node.astext()

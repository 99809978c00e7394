"""The last step of the build, piece by piece: links that stay inside, icons, what is not needed."""

import gpicons
import gplight
import gppages
import pytest
import repository

ADDRESS = "some-one.github.io/book"
HERE = "notebooks/06_gradient_penalty.html"


@pytest.mark.parametrize(
    ("to", "relative"),
    [
        ("/notebooks/16_bug_museum.html#eps-shared", "16_bug_museum.html#eps-shared"),
        ("/book/ledger.html", "../book/ledger.html"),
        ("/", "../index.html"),
        ("", "../index.html"),
        ("#top", "../index.html#top"),
        ("/book/", "../book/index.html"),
    ],
)
def test_links_to_the_book_s_own_address_stay_inside(to, relative):
    page = f'<a class="reference external" href="https://{ADDRESS}{to}">here</a>'
    assert gppages.inward(page, HERE, ADDRESS) == f'<a class="reference external" href="{relative}">here</a>'
    # An owner's name may be written with capitals.
    assert relative in gppages.inward(page.replace("some-one", "Some-One"), HERE, ADDRESS)


def test_links_to_elsewhere_are_left_alone():
    page = (
        f'<a href="https://{ADDRESS}s/x.html">another book</a><a href="https://arxiv.org/abs/1704.00028">paper</a>'
        f'<link rel="canonical" href="https://{ADDRESS}/x.html"><p>https://{ADDRESS}/x.html</p>'
    )
    assert gppages.inward(page, HERE, ADDRESS) == page


def test_an_address_that_a_cell_prints_becomes_a_link():
    text = f"eps is shared: https://{ADDRESS}/notebooks/16_bug_museum.html#eps-shared. Mend it."
    page = f'<div class="output stream highlight-myst-ansi"><pre><span></span>{text}\n</pre></div>'
    linked = gppages.inward(page, HERE, ADDRESS)
    shown = f"https://{ADDRESS}/notebooks/16_bug_museum.html#eps-shared"
    assert f'shared: <a href="16_bug_museum.html#eps-shared">{shown}</a>. Mend it.' in linked
    # Once is enough.
    assert gppages.inward(linked, HERE, ADDRESS) == linked


def test_no_built_page_links_to_its_own_address(site):
    address = repository.forms(repository.address())[2]
    for path in site.rglob("*.html"):
        assert f'href="https://{address}' not in path.read_text(encoding="utf-8"), path.name


SCRIPT = 'x={"bars":[448,512,["navicon"],"f0c9","M0 96C0 78"],github:[496,512,[],"f09b","M165.9 397"]}'


def test_icons_are_drawn():
    icons = gpicons.Icons(SCRIPT)
    drawn = icons.draw('<body><span class="fa-solid fa-bars fa-lg" title="Menu" data-mode="x"></span></body>')
    assert '<svg class="svg-inline--fa fa-bars fa-lg" data-mode="x" aria-hidden="true"' in drawn
    assert 'viewBox="0 0 448 512"><path fill="currentColor" d="M0 96C0 78">' in drawn
    assert "Font Awesome" in drawn and "title" not in drawn
    assert 'd="M165.9 397"' in icons.draw('<i class="fab fa-github"></i>')
    assert icons.draw("<p>no icon</p></body>") == "<p>no icon</p></body>"
    with pytest.raises(ValueError, match="no icon named 'rocket'"):
        icons.draw('<i class="fas fa-rocket"></i>')


def test_every_icon_of_the_site_is_drawn(site):
    for path in site.rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        assert not gpicons.PLACE.search(text) and "fontawesome.js" not in text, path.name


def test_fonts_stay_that_a_formula_asks_for():
    page = '<span class="math notranslate nohighlight">\\(\\mathbf{x} \\in \\mathcal{N}\\)</span><p>\\mathfrak</p>'
    gone = gplight.unused_letters([page])
    assert "Main-Bold" not in gone and "Calligraphic-Regular" not in gone
    assert "Fraktur-Regular" in gone and "Typewriter-Regular" in gone


def test_what_is_unused_is_deleted(tmp_path):
    for name in ("a.html", "_static/a.js.map", "_static/locales/de/x.po", "_static/images/logo_binder.svg",
                 "_static/images/logo_colab.png", "_static/mathjax/f/MathJax_Fraktur-Bold.woff",
                 "_static/mathjax/f/MathJax_Main-Regular.woff"):  # fmt: skip
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    gplight.lighten(tmp_path)
    left = {path.name for path in tmp_path.rglob("*") if path.is_file()}
    assert left == {"a.html", "logo_colab.png", "MathJax_Main-Regular.woff"}

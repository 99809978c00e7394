"""The search finds the section that answers, for what people type, and opens it with the words marked."""

import re

import pytest
from test_pages import Visit, browser, pytestmark, served, until  # noqa: F401

Q, C = "book/questions.html#", "notebooks/"
# What is typed, and which sections answer it: one of them must be among the first three.
QUERIES = {
    "threshold": f"{Q}which-threshold|which-threshold-should-i-use|term-threshold",
    "what threshold should I use": "which-threshold-should-i-use",
    "max_norm": f"{Q}which-threshold|term-threshold",
    "lambda": f"{Q}how-do-i-choose-its-weight",
    "lambda_gp": f"{Q}how-do-i-choose-its-weight|term-weight",
    "what weight should I use": "which-weight-should-i-use|how-do-i-choose-its-weight",
    "fix": f"{Q}how-do-i-fix",
    "AdamW": f"{Q}which-threshold|term-AdamW",
    "DDP": f"{Q}does-it-work-on-several-gpus",
    "several GPUs": f"{Q}does-it-work-on-several-gpus",
    "FID": f"{Q}which-distance-should-i-print|term-Frechet",
    "StyleGAN2": f"{Q}where-is-a-gradient-penalty-used|gradient_penalty.html#who-uses-it|{Q}is-wgan-gp-still",
    "StyleGAN": f"{Q}where-is-a-gradient-penalty-used|gradient_penalty.html#who-uses-it|{Q}is-wgan-gp-still",
    "clip_grad_norm_": f"{Q}how-is-it-implemented|where-does-clip-grad-norm-go|term-norm-clipping",
    "nan": f"{Q}my-loss-is-nan|nan-",
    "NaN loss after clipping": f"{Q}my-loss-is-nan|non-finite",
    "spectral normalization": f"{Q}gradient-penalty-or-spectral|term-spectral-normali",
    "gradient penalty vs spectral norm": f"{Q}gradient-penalty-or-spectral",
    "why is my critic loss negative": f"{Q}why-is-my-critic-loss-negative",
    "critic loss positive": f"{Q}why-is-my-critic-loss",
    "generator loss rises": f"{Q}my-generator-loss-rises",
    "clip before or after unscale": f"{Q}do-i-clip-before-or-after|clip-before-unscale",
    "is WGAN-GP still used": f"{Q}is-wgan-gp-still-used",
    "how to use in my own training loop": f"{Q}how-do-i-use-this-in-my-own|own_loop",
    "gradient accumulation": f"{Q}where-do-i-clip-with|term-gradient-accumulation|where-does-clip-grad-norm-go",
    "mixed precision": "mixed-precision",
    "batch norm": "batch-norm",
    "lazy regularization": "lazy",
    "one-sided": "one-side|term-one-sided",
    "n_critic": f"{Q}how-many-critic-steps|critic-steps",
    "torch.compile": "does-torch-compile-find",
    "memory": "memory-what-create-graph-keeps",
    "GPU memory": f"{Q}how-much-memory|memory-what-create-graph-keeps",
    "out of memory": f"{Q}how-much-memory|memory-what-create-graph-keeps",
    "how to log gradient norm": f"{Q}which-norm-do-i-log",
    "double backward error cudnn": f"{Q}does-it-work-with-a-recurrent",
    "Lightning": "own_loop.html#in-pytorch-lightning",
    "Accelerate": "own_loop.html#in-hugging-face-accelerate",
    "Trainer": "own_loop.html#in-the-hugging-face-trainer",
    "FSDP": f"{Q}does-it-work-on-several-gpus|term-FSDP",
    "PPO": f"{Q}is-it-relevant-to-reinforcement|should-i-clip-in-ppo|term-PPO",
    "GradScaler": f"{Q}do-i-clip-before-or-after|how-do-i-take-a-gradient-penalty-under-gradscaler",
    "Colab": "own_loop|how_to_read",
    "vanishing gradient": f"{Q}is-my-generator|vanish",
    "weight clipping": f"05_weight_clipping|{Q}should-i-clip-the-weights|term-weight-clipping",
    "overfitting": f"{Q}does-it-prevent-overfitting",
    "dropout": f"{Q}how-is-it-different-from-dropout",
    "reinforcement learning": f"{Q}is-it-relevant-to-reinforcement|who-uses-it",
    "norm over channels": "norm-over-channels",
    "check my penalty": "check_your_own|in-practice-how-do-i-know",
    "exploding gradients": f"{Q}how-does-it-prevent-exploding|term-exploding-gradient|exploding",
    "mode collapse": "mode-collapse",
    "teaching a seminar": "teaching.html",
}


@pytest.fixture(scope="module")
def found(served, browser):  # noqa: F811
    with Visit(browser, served) as visit:
        page = visit.open("search.html")
        until(page, "window.gpSearch !== undefined")
        return {query: [address for address, _ in page.evaluate("q => gpSearch(q)", query)] for query in QUERIES}


@pytest.mark.parametrize("query", QUERIES)
def test_what_is_typed_leads_to_its_section(found, query):
    assert any(re.search(QUERIES[query], address, re.IGNORECASE) for address in found[query][:3]), found[query][:6]


def test_every_section_that_is_found_is_there(site, found):
    for address in {address for addresses in found.values() for address in addresses}:
        name, _, place = address.partition("#")
        assert f' id="{place}"' in (site / name).read_text(encoding="utf-8"), address


@pytest.mark.parametrize(("query", "size"), [("threshold learning rate", "desktop"), ("nan-at-zero-gradient", "phone")])
def test_a_result_opens_at_its_section_with_the_words_marked(served, browser, query, size):  # noqa: F811
    with Visit(browser, served, size) as visit:
        page = visit.open(f"search.html?q={query.replace(' ', '+')}")
        first = page.locator("#search-results .search li a").first
        first.wait_for()
        assert page.locator("#search-results .search li").first.locator("p.context mark").count() >= 1
        first.click()
        page.wait_for_url("**/*.html#*")
        page.locator("mark.gp-found").first.wait_for()
        place = page.evaluate("document.getElementById(location.hash.slice(1)).getBoundingClientRect().top")
        assert -10 <= place < visit.page.viewport_size["height"] / 2
        assert page.locator(".math mark").count() == 0 and visit.complaints == [] and visit.outside == []
        page.reload()
        until(page, "document.readyState === 'complete'")
        assert page.locator("mark.gp-found").count() == 0


def test_a_query_without_an_answer_says_so(served, browser):  # noqa: F811
    with Visit(browser, served) as visit:
        page = visit.open("search.html?q=zymurgy")
        page.locator("#search-results .search-summary").wait_for()
        assert page.locator("#search-results h2").inner_text() == "Nothing found"


def test_no_page_but_the_search_loads_the_index(site):
    for path in site.rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"(searchtools|searchindex|language_data)\.js", text), path.name
        assert ("sections.js" in text) == (path.name == "search.html"), path.name

"""The glossary has the words that the book uses, in order, and each leads to the section that explains it."""

import re

import pytest
from sections import TEXTS, headings, links

GLOSSARY = TEXTS["book/glossary"].split("```{glossary}\n")[1].split("\n```")[0]
ENTRIES = re.findall(r"((?:^[^\s`].*\n)+)  (\S.*)", GLOSSARY, re.MULTILINE)
# What chapters and pages speak of by name; the list grows with them.
WORDS = """
    Adam|AdamW|AutoClip|ZClip|adaptive clipping|adversarial loss|batch norm|critic|Dirac-GAN|discriminator|DRAGAN
    double backpropagation|energy distance|exploding gradient|FID|generator|gradient accumulation|gradient clipping
    gradient norm|gradient norm scaling|gradient penalty|GradScaler|input norm|instance noise|interpolate|lambda_gp
    Lipschitz constant|logit|max_norm|mixed precision|mode collapse|n_critic|norm clipping|normalisation (of a gradient)
    one-sided penalty|perfect critic|R1, R2|saturating loss|non-saturating loss|spectral norm|spectral normalization
    spectral radius|stray sample|temporal order|threshold|training gap|value clipping|value gap|vanishing gradient
    Wasserstein distance|weight|weight clipping|WGAN-GP|zero-centred penalty|verdict|band|floor (of a distance)|EMA
"""
TERMS = [term for names, _ in ENTRIES for term in names.strip().splitlines()]
# Words of the field that a reader may have to look up: in the glossary once the pages use one often.
FIELD = """
    adversarial example|all-reduce|augmentation|curvature|discount|distillation|dropout|effective rank|eigenvalue
    encoder|entropy|finite difference|Fisher information|forget gate|GRU|hinge loss|Hessian|imitation learning
    instance norm|label smoothing|latent code|layer norm|LSTM|micro-batch|momentum|mutual information|natural gradient
    perplexity|policy|PPO|preconditioner|raw batch|replicas|reward|RMSprop|score|self-attention|SGD|singular value
    skip connection|spike|teacher forcing|value network|variance reduction|Wasserstein GAN|weight decay
"""
OFTEN = 8


@pytest.mark.parametrize("word", [word.strip() for line in WORDS.strip().splitlines() for word in line.split("|")])
def test_the_glossary_has_the_word(word):
    assert word in TERMS


def used(word: str) -> int:
    """How often the pages use a word, code and links left out."""
    count = 0
    for text in TEXTS.values():
        prose = re.sub(r"^```python.*?^```|\]\([^)]*\)|`[^`\n]*`", "", text, flags=re.MULTILINE | re.DOTALL)
        count += len(re.findall(rf"(?<![\w-]){re.escape(word)}(?:s|es)?(?![\w-])", prose, re.IGNORECASE))
    return count


def test_what_is_used_often_is_counted():
    assert used("SGD") >= 50 and used("imitation") >= OFTEN > used("zymurgy")


@pytest.mark.parametrize("word", [word.strip() for line in FIELD.strip().splitlines() for word in line.split("|")])
def test_a_word_that_is_used_often_is_in_the_glossary(word):
    names = {re.sub(r" \(.*\)", "", term).lower() for term in TERMS}
    assert word.lower() in names or used(word) < OFTEN, used(word)


def test_terms_come_in_order_and_once():
    assert len(set(TERMS)) == len(TERMS) >= 75
    first = [names.splitlines()[0].replace("é", "e").lower() for names, _ in ENTRIES]
    assert first == sorted(first)


@pytest.mark.parametrize(("names", "text"), ENTRIES)
def test_an_entry_leads_to_where_the_word_is_explained(names, text):
    found = links("book/glossary", text)
    assert found and found[-1][0] in TEXTS
    assert found[-1][1] or not found[-1][0].startswith("notebooks/"), "a chapter without a section"
    assert text.endswith("))") or text.endswith(")."), text


@pytest.mark.parametrize("name", TEXTS)
def test_terms_that_pages_refer_to_are_in_the_glossary(name):
    assert set(re.findall(r"\{term\}`([^`<]+)`", TEXTS[name])) <= set(TERMS)
    assert headings(TEXTS[name])

"""The page of questions: what readers ask is answered shortly, with numbers of the evidence and links to sections."""

import re

import gpevidence
import loops
import pytest
from gpbook import EVIDENCE
from sections import SECTIONS, TEXTS, links

from gpcore.page import evidence

PAGE = "book/questions"
PARTS = re.split(r"^### (.+)$", TEXTS[PAGE], flags=re.MULTILINE)
BODIES = [re.split(r"^## ", body, flags=re.MULTILINE)[0].strip() for body in PARTS[2::2]]
ANSWERS = dict(zip(PARTS[1::2], BODIES, strict=True))
# What readers of glossaries and courses ask, by words of the heading that answers it.
ASKED = """
    What is a gradient penalty | How is a gradient penalty computed | Which gradient of what
    Why does a gradient penalty matter in GANs | Does a gradient penalty improve training
    Where is a gradient penalty used | Which problems does it address | work for every GAN
    always needed | overfitting | dropout and weight decay
    implement it in PyTorch | choose its weight | training time, and can a real-time model | WGAN-GP still used
    spectral normalization | One side or two | lazy | batch norm | mixed precision | recurrent or an attention critic
    several GPUs | mode collapse | outputs diverse | Which gradient penalty should I use
    What is gradient norm scaling | Why does gradient norm scaling matter | prevent exploding gradients
    long sequences stable
    Where is gradient norm scaling used | How is it implemented | differ from clipping by value and from normalisation
    improve accuracy | makes it hard | reinforcement learning | set automatically | Which threshold | unscaling
    accumulation | with Adam | Per layer or all together | Which norm do I log | norm above the threshold | NaN
    critic loss negative | critic loss above zero | critic loss fall for ever | critic loss close to zero
    generator loss rises | my own training loop
"""
QUESTIONS = [question.strip() for line in ASKED.strip().splitlines() for question in line.split("|")]
# No measurement of ours stands behind what clipping does with an infinite gradient: the answer cites a report.
CITED = ("NaN",)
# The words that people type, which the search must find on this page.
TYPED = (
    "threshold lambda lambda_gp fix AdamW DDP FSDP FID StyleGAN2 clip_grad_norm_ NaN normalization max_norm n_critic "
    "GradScaler float16 bfloat16 dropout overfitting R1 CTGAN PPO"
).split()


@pytest.mark.parametrize("question", QUESTIONS)
def test_every_question_has_one_answer(question):
    assert len([title for title in ANSWERS if question in title]) == 1, list(ANSWERS)


@pytest.mark.parametrize("title", ANSWERS)
def test_an_answer_is_short_and_leads_to_its_section(title):
    answer = ANSWERS[title]
    said = re.sub(r"\{\w+\}`[^`]*`|\]\([^)]*\)|`[^`]*`|\$[^$]*\$", "x", answer)
    sentences = re.findall(r"[.?!](?=\W*(?:\s+[A-Z`\[x]|$))", said)
    assert 2 <= len(sentences) <= 5, said
    assert any(section for _, section in links(PAGE, answer)), "no link to a section"
    cited = any(words in title for words in CITED)
    assert cited != ("{measured}" in answer), "no number of the evidence, or an exemption that is not needed"
    assert not cited or "https://" in answer, "nothing is cited"


@pytest.mark.parametrize("name", [name for name in TEXTS if name.startswith("book/")])
def test_links_to_sections_lead_to_sections(name):
    for document, section in links(name):
        assert document in TEXTS, f"{name}: there is no page {document}"
        assert not section or section in SECTIONS[document], f"{name}: {document} has no section {section}"


def test_the_page_of_questions_is_the_first_of_the_sidebar():
    import chapters
    import yaml

    toc = yaml.safe_load((chapters.ROOT / "_toc.yml").read_text(encoding="utf-8"))
    assert toc["parts"][0]["chapters"][0]["file"] == PAGE


@pytest.mark.parametrize("word", TYPED)
def test_the_words_that_people_type_stand_on_it(word):
    assert re.search(rf"(?<![\w-]){re.escape(word)}(?!\w)", TEXTS[PAGE]), word


# Learning rates, thresholds and weights, of the book's runs and of other people's code.
SETTINGS = {"0.01", "0.003", "0.03", "0.05", "0.25"}


@pytest.mark.parametrize("name", ["questions", "gradient_penalty", "gradient_norm_scaling", "intro"])
def test_no_measured_number_is_typed_by_hand(name):
    """What has two digits behind its point, or one behind a whole number, is a measurement or one of the settings."""
    text = TEXTS[f"book/{name}"]
    prose = re.sub(r"\{\w+\}`[^`]*`|\]\([^)]*\)|`[^`]*`|\$[^$]*\$|^```.*?^```", "", text, flags=re.M | re.S)
    assert set(re.findall(r"(?<![\w.])\d+\.\d{2,}|(?<![\w.])[1-9]\d*\.[1-9]", prose)) <= SETTINGS


# What the pages say of two numbers, in the page's run and in the longer one: the first is the smaller.
SMALLER = """
    06|W1, two-sided, 1 < 06|W1, no constraint
    06|W1, two-sided, 1 < 06|W1, clipping, 0.1
    06|W1, two-sided, 1 < 06|W1, two-sided, 10
    06|W1, one-sided, 10 < 06|W1, two-sided, 10
    06|W1, 30 critic steps < 06|W1, 3 critic steps
    06|W1, digits, two-sided, 10 < 06|W1, digits, batch norm, 0
    06|W1, digits, two-sided, 10 < 06|W1, digits, batch norm, 10
    06|seen, two-sided, 500 < 06|seen, two-sided, 5,000
    05|r, c = 0.1, 5,000 steps < 05|r, two perfect critics
    01|final / initial W1, 3 times, R1 < 01|final / initial W1, 3 times, undamped
    01|final / initial W1, 10 times, R1 < 01|final / initial W1, 10 times, undamped
    17|I, with R1: W1 to fresh data < 17|I: W1 to fresh data
    17|healthy: training gap < 17|F: training gap
    17|healthy: new critic < 17|D: new critic
    17|healthy: input norm < 17|C: input norm
    17|healthy, SGD: W1 to fresh data < 17|H, SGD: W1 to fresh data
    16|W1 after 50 steps, norm-over-batch < 16|W1 after 50 steps, healthy, weight 10
    16|W1 at the end, healthy, weight 10 < 16|W1 at the end, norm-over-batch
    16|error, healthy step < 16|error, scales-up
    16|error, healthy step < 16|error, clip-before-unscale
    16|input norm at the end, healthy, weight 10 < 16|input norm at the end, norm-over-channels
    16|input norm at the end, norm-over-batch < 16|input norm at the end, healthy, weight 10
    07|time in plain steps, r1_reuse < 07|time in plain steps, wgan_gp
    07|time in plain steps, r1_by_hand < 07|time in plain steps, r1_reuse
    07|time in plain steps, wgan_gp_by_hand < 07|time in plain steps, wgan_gp
    08|W1, R1 + R2, wasserstein, w = 10 < 08|W1, none, wasserstein, w = 0
    08|W1, R1, non-saturating, w = 10 < 08|W1, two-sided, non-saturating, w = 10
    08|W1, R2, non-saturating, w = 10 < 08|W1, DRAGAN, non-saturating, w = 10
    08|W1, R1 + R2, non-saturating, w = 10 < 08|W1, lazy, R1 + R2, non-saturating, w = 10
    09|two-sided, 2: norm < 09|no penalty: norm
    09|weight decay, 10: norm < 09|no penalty: norm
    09|R1, 100, 1024 samples: memory < 09|no penalty, 1024 samples: memory
    09|digits, none, moved: memory < 09|digits, none: memory
    03|effective modes: 10 times, 3 steps < 03|effective modes: 10 times, 3 steps, R1
    03|effective modes: 3 times, 1 step < 03|effective modes: 3 times, 1 step, R1
    03|effective modes, critic with R1 held still < 03|effective modes: 10 times, 3 steps, R1
    11|orders of magnitude over 99 steps, nn.LSTM < 11|orders of magnitude over 99 steps, LSTM, forget bias 4
    11|orders of magnitude over 99 steps, nn.RNN < 11|orders of magnitude over 99 steps, nn.GRU
    12|solved, of 5: SGD, rate 0.1, no clipping < 12|solved, of 5: SGD, rate 0.1, threshold 3
    12|solved, of 5: SGD, rate 1, threshold 1 < 12|solved, of 5: SGD, rate 1, threshold 0.1
    12|solved, of 5: Adam, rate 0.03, threshold 0.01 < 12|solved, of 5: Adam, rate 0.003, threshold 0.01
    04|W1, shrunk by a quarter < 04|W1, other real digits
    04|energy distance, other real digits < 04|energy distance, shrunk by a quarter
"""


def number(name: str, preset: str) -> float:
    if preset == "long" and gpevidence.runs.latest(name[:2], "long", gpevidence.RUNS) is None:
        pytest.skip(f"chapter {name[:2]} has no longer run yet")
    return float(gpevidence.median(*name.split("|"), preset).split()[0].replace(",", ""))


@pytest.mark.parametrize("preset", ["fast", "long"])
@pytest.mark.parametrize("said", SMALLER.strip().splitlines())
def test_what_is_said_of_two_numbers_holds_in_both_runs(said, preset):
    smaller, larger = said.strip().split(" < ")
    assert number(smaller, preset) < number(larger, preset)


# What is said of one number: it is smaller than the other.
ONE_NUMBER = [
    ("17|healthy: largest critic loss", 0),
    ("16|W1, batch norm, 0.0", 9),
    ("18|norm on 16 processes over one, after training", 0.9),
]


@pytest.mark.parametrize("preset", ["fast", "long"])
@pytest.mark.parametrize(("name", "bound"), ONE_NUMBER)
def test_what_is_said_of_one_number_holds_in_both_runs(name, bound, preset):
    assert number(name, preset) < bound


def test_five_critics_of_five_have_a_right_penalty():
    assert number("14|critics with a right penalty", "fast") == number("14|critics with a right penalty", "long") == 5


def test_the_listings_are_counted():
    words = dict(enumerate("ten eleven twelve thirteen fourteen".split(), start=10))
    answer = ANSWERS["How do I use this in my own training loop?"]
    assert f"has {words[len(loops.listings())]} complete programs" in answer


def test_every_claim_that_has_a_verdict_is_on_the_page_of_its_term():
    shown = gpevidence.claims("gp-") + gpevidence.claims("gns-")
    for record in evidence.load_evidence(EVIDENCE).values():
        for claim in record["claims"]:
            if claim["id"].startswith(("gp-", "gns-")):
                assert f"#verdict-{claim['id']}" in shown

"""Lines break neither inside a number nor between a formula and its comma."""

import gptype

MATH = '<span class="math notranslate nohighlight">\\(a < b\\)</span>'.replace(" < ", " &lt; ")


def test_a_formula_keeps_its_brackets_and_its_punctuation():
    assert gptype.tied(f"so ({MATH}), and") == f'so <span class="gp-tie">({MATH}),</span> and'
    assert gptype.tied(f"({MATH} or more)") == f'<span class="gp-tie">({MATH}</span> or more)'
    assert gptype.tied(f"so {MATH} and") == f"so {MATH} and"
    assert gptype.tied(f"{MATH}{MATH}.") == f'{MATH}<span class="gp-tie">{MATH}.</span>'


def test_a_measured_number_has_a_minus_sign_and_nothing_else_changes():
    before = '<span class="measured">-2.1e-04 (-0.001 to 3) a-1 x</span> <p data-a="-1">-1</p>'
    after = '<span class="measured">−2.1e−04 (−0.001 to 3) a-1 x</span> <p data-a="-1">-1</p>'
    assert gptype.with_minus_signs(before) == after


def test_a_page_without_a_body_is_left_alone():
    context = {}
    gptype.set_type(None, "search", "search.html", context, None)
    assert context == {"body": ""}

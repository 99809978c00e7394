"""A notebook that is opened and not run, in a real JupyterLab: it is not trusted, and every figure is seen."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from unittest import mock

import chapters
import nbformat
import pytest
from test_pages import CHROMIUM, browser  # noqa: F401

from gpcore import figures, widgets

BESIDE = Path(sys.executable).with_name("jupyter-lab")
LAB = str(BESIDE) if BESIDE.exists() else shutil.which("jupyter-lab")
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine: no notebook was opened"),
    pytest.mark.skipif(LAB is None, reason="JupyterLab is not installed: no notebook was opened in it"),
]
ALT = "A line that climbs from 0 to "
SEEN = "e => e.checkVisibility() && e.getBoundingClientRect().height > 100"


def line(slope):
    fig, ax = figures.figure()
    ax.plot([0, 1], [0, slope], color=figures.REAL)
    return fig


def notebook() -> nbformat.NotebookNode:
    """A notebook with a figure and a player, as a chapter holds them."""
    with mock.patch("IPython.display.display") as display:
        figures.show(line(1), ALT + "1, in blue.", "A line.")
        widgets.explore(line, "slope", [2, 3, 4], start=3, alt=lambda v: ALT + str(v))
    made = nbformat.v4.new_notebook(metadata=chapters.METADATA)
    for call in display.call_args_list:
        output = nbformat.v4.new_output("display_data", data=call.args[0].bundle)
        made.cells.append(nbformat.v4.new_code_cell("...", outputs=[output], execution_count=1))
    return made


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """The address of a JupyterLab in an empty folder with two copies of the notebook, of which one is trusted."""
    home = tmp_path_factory.mktemp("home")
    root = home / "root"
    root.mkdir()
    for name in ("new.ipynb", "trusted.ipynb"):
        nbformat.write(notebook(), root / name)
    environment = {k: v for k, v in os.environ.items() if not k.startswith("JUPYTER") and k != "PYTHONPATH"}
    environment |= {"HOME": str(home), "JUPYTER_PREFER_ENV_PATH": "0", "IPYTHONDIR": str(home / "ipython")}
    trust = Path(LAB).with_name("jupyter-trust")
    subprocess.run([str(trust), "trusted.ipynb"], cwd=root, env=environment, check=True, capture_output=True)
    options = ["--no-browser", "--allow-root", "--port=0", "--ip=127.0.0.1", "--IdentityProvider.token=t"]
    options += ["--LabApp.news_url=", "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"]
    log = home / "log"
    with open(log, "w") as file:
        server = subprocess.Popen([LAB, *options], cwd=root, env=environment, stderr=file, stdout=file)
    try:
        end = time.monotonic() + 60
        while not (found := re.search(r"http://127\.0\.0\.1:\d+/", log.read_text())):
            assert time.monotonic() < end and server.poll() is None, log.read_text()
            time.sleep(0.2)
        yield found[0]
    finally:
        server.send_signal(signal.SIGTERM)
        try:
            server.wait(5)
        except subprocess.TimeoutExpired:  # it waits for its kernels, which end by themselves when it is gone
            server.kill()
            server.wait()


@pytest.fixture(params=["light", "dark"])
def window(request, lab, browser):  # noqa: F811
    """A function that opens a notebook and returns its page once the outputs are there."""
    theme = "JupyterLab Dark" if request.param == "dark" else "JupyterLab Light"
    settings = json.dumps({"raw": json.dumps({"theme": theme})}).encode()
    url = lab + "lab/api/settings/@jupyterlab/apputils-extension:themes?token=t"
    urllib.request.urlopen(urllib.request.Request(url, settings, method="PUT")).close()
    context = browser.new_context(viewport={"width": 1100, "height": 1200})

    def visit(name):
        page = context.new_page()
        page.goto(f"{lab}lab/tree/{name}?token=t&reset", wait_until="load")
        page.locator(".jp-OutputArea-output figure").nth(1).wait_for(state="attached", timeout=60_000)
        assert page.locator("body").get_attribute("data-jp-theme-light") == str(request.param == "light").lower()
        if folder := os.environ.get("GPCORE_SHOTS"):
            page.screenshot(path=Path(folder) / f"{Path(name).stem}-{request.param}.png")
        return page.locator(".jp-Notebook")

    yield visit
    context.close()


def test_an_untrusted_notebook_shows_the_images(window):
    page = window("new.ipynb")
    assert page.locator("figure svg").count() == page.locator("figure script").count() == 0
    images = page.locator("figure img")
    assert images.evaluate_all(f"all => all.map({SEEN})") == [True, True]
    assert images.evaluate_all("all => all.map(e => e.complete && e.naturalWidth > 300)") == [True, True]
    assert images.nth(0).get_attribute("alt") == ALT + "1, in blue."
    assert images.nth(1).get_attribute("alt") == ALT + "3. slope: 3."
    # No knob that turns nothing; what it would have shown is said.
    assert page.locator("figure input").count() == 0
    assert page.get_by_text("Shown: slope = 3. Where JavaScript runs, a slider shows 2, 4 too.").is_visible()
    # White paper under black ink, in the dark too.
    corner = """e => { const c = document.createElement('canvas'), g = c.getContext('2d'); g.drawImage(e, 0, 0);
        return [...g.getImageData(1, 1, 1, 1).data]; }"""
    assert images.nth(0).evaluate(corner) == [255, 255, 255, 255]


def test_a_trusted_notebook_shows_the_drawings_and_the_knob_turns(window):
    page = window("trusted.ipynb")
    assert page.locator("figure img").evaluate_all(f"all => all.map({SEEN})") == [False, False]
    drawings = page.locator("figure svg")
    assert drawings.evaluate_all(f"all => all.map({SEEN})") == [True, False, True, False]
    knob = page.locator("figure input[type=range]")
    knob.press("ArrowRight")
    assert drawings.evaluate_all(f"all => all.map({SEEN})") == [True, False, False, True]
    assert page.locator("figure output").inner_text() == "4"

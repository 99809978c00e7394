"""The cell that installs gpcore: it ends by itself, in every case, and says why where it could not."""

import http.server
import re
import socket
import subprocess
import sysconfig
import threading
import venv
import zipfile
from pathlib import Path

import first_cell
import nbformat
import pytest

SOURCE = re.search(r'source = "(.*)"', first_cell.TEXT)[1]
AFTER = "\nimport gpcore\nprint('gpcore', gpcore.__version__)\n"


class Server(http.server.BaseHTTPRequestHandler):
    """Answers as its address says: ``/404/...`` with that status, ``/200/...`` with the wheel."""

    def do_GET(self):
        status = int(self.path.split("/")[1])
        self.send_response(status)
        if status == 401:
            self.send_header("WWW-Authenticate", 'Basic realm="private"')
        body = self.server.wheel if status == 200 else b""
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


def wheel(folder, version):
    """A package of gpcore's name that asks for nothing."""
    path = folder / f"gpcore-{version}-py3-none-any.whl"
    info = f"gpcore-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("gpcore/__init__.py", f"__version__ = '{version}'")
        file.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: gpcore\nVersion: {version}\n")
        file.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        file.writestr(f"{info}/RECORD", f"gpcore/__init__.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")
    return path


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
    server.wheel = wheel(tmp_path_factory.mktemp("wheel"), "9.1").read_bytes()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    """A Python with this one's pip, in which gpcore is not installed."""
    folder = tmp_path_factory.mktemp("env")
    venv.create(folder, with_pip=False)
    (packages,) = folder.glob("lib/python*/site-packages")
    (packages / "pip").symlink_to(Path(sysconfig.get_path("purelib")) / "pip")
    return str(folder / "bin" / "python")


def run(python, source, folder, timeout=240, **environment):
    """Run the cell as a script of that Python, with another address to install from; it must end in time."""
    (folder / "cell.py").write_text(first_cell.text().replace(SOURCE, source) + AFTER)
    finished = subprocess.run(
        [python, "cell.py"],
        cwd=folder,
        # No git, and no PYTHONPATH that leads to gpcore.
        env={"PATH": "", "PIP_DISABLE_PIP_VERSION_CHECK": "1", **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
    )
    assert "Traceback" not in finished.stderr
    return finished


@pytest.mark.parametrize(("status", "sentence"), [(401, "401"), (404, "404")])
def test_an_address_that_gives_nothing_is_named(python, address, tmp_path, status, sentence):
    source = f"{address}/{status}/main.zip"
    finished = run(python, source, tmp_path)
    assert finished.returncode == 1 and not finished.stdout
    assert finished.stderr.startswith(f"gpcore could not be installed from {source}. ERROR: ")
    assert sentence in finished.stderr and finished.stderr.count("\n") == 1


def test_without_a_network_it_ends_and_says_so(python, tmp_path):
    finished = run(python, "http://book.invalid/main.zip", tmp_path)
    assert finished.returncode == 1
    assert finished.stderr.startswith("gpcore could not be installed from http://book.invalid/main.zip. ERROR: ")
    assert finished.stderr.count("\n") == 1


@pytest.fixture
def silent():
    """The address of a server that takes a question and never answers, and who has asked."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        asked = []

        def accept():
            while True:
                try:
                    asked.append(server.accept()[0])
                except OSError:
                    return

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}", asked
        server.shutdown(socket.SHUT_RDWR)
        thread.join()
    for connection in asked:
        connection.close()


def test_a_server_that_never_answers_is_asked_twice_and_given_up(python, silent, tmp_path):
    # pip waits for fifteen seconds, which the test does not: twice of these are less than a minute.
    finished = run(python, f"{silent[0]}/main.zip", tmp_path, PIP_TIMEOUT="1")
    assert finished.returncode == 1 and "ERROR: " in finished.stderr
    assert "timed out" in finished.stderr.lower() and finished.stderr.count("\n") == 1
    assert len(silent[1]) == 2


def test_an_index_that_never_answers_is_given_up_by_the_pip_that_builds(python, silent, tmp_path):
    source = tmp_path / "gpcore.zip"
    with zipfile.ZipFile(source, "w") as file:
        file.writestr("gpcore-9/pyproject.toml", "[build-system]\nrequires = ['setuptools']\n")
    index = {"PIP_INDEX_URL": silent[0], "PIP_CONFIG_FILE": "/dev/null", "PIP_TIMEOUT": "1"}
    finished = run(python, source.as_uri(), tmp_path, **index)
    assert finished.returncode == 1 and "ERROR: " in finished.stderr
    assert len(silent[1]) == 2


def test_a_python_without_pip_is_told_so(address, tmp_path):
    venv.create(tmp_path / "env", with_pip=False)
    finished = run(str(tmp_path / "env" / "bin" / "python"), f"{address}/200/main.zip", tmp_path)
    assert finished.returncode == 1
    assert re.fullmatch(r"gpcore could not be installed from \S+ \S+: No module named pip\n", finished.stderr)


def test_it_installs_what_is_missing_and_replaces_what_is_too_old(python, address, tmp_path):
    source = f"{address}/200/gpcore-9.1-py3-none-any.whl"
    finished = run(python, source, tmp_path)
    assert (finished.returncode, finished.stdout, finished.stderr) == (0, "gpcore 9.1\n", "")
    # Once it is there nothing is asked of the network.
    finished = run(python, "http://book.invalid/main.zip", tmp_path)
    assert (finished.returncode, finished.stdout) == (0, "gpcore 9.1\n")
    old = str(wheel(tmp_path, "0.1.0"))
    subprocess.run([python, "-I", "-m", "pip", "install", "-q", "--force-reinstall", old], check=True)
    finished = run(python, source, tmp_path)
    assert finished.returncode == 1
    assert finished.stderr == "gpcore 0.1.0 was too old and has been replaced: restart the kernel.\n"
    finished = run(python, source, tmp_path)
    assert finished.stdout == "gpcore 9.1\n", finished.stderr


def test_the_version_asked_for_is_compared_as_numbers():
    assert "< (0, 10):" in first_cell.text("0.10.2") and "NEEDED" not in first_cell.text()


def test_it_takes_the_place_of_an_older_form_and_changes_nothing_else():
    old = nbformat.v4.new_code_cell('find_spec("gpcore")', id="06-00", execution_count=1)
    notebook = nbformat.v4.new_notebook(cells=[old, nbformat.v4.new_code_cell("x = 1", id="06-01")])
    for _ in range(2):
        first_cell.put(notebook)
        assert [cell.id for cell in notebook.cells] == ["06-00", "06-01"]
        assert notebook.cells[0].source == first_cell.text() and notebook.cells[0].execution_count == 1
    bare = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("x = 1")])
    first_cell.put(bare)
    assert [cell.source for cell in bare.cells] == [first_cell.text(), "x = 1"]
    nbformat.validate(bare)

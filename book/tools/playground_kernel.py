"""Write the living page's product of matrices as WebAssembly, by hand: book/playground/simd.js.

    python book/tools/playground_kernel.py

The module has its own memory and one function, ``C = A B`` or ``C = C + A B`` in float32:

    multiply(C, A, B, m, n, k, row_step, column_step, add)

C is m x n and B is k x n, both row after row. A is m x k; its element (i, p) stands row_step i + column_step p bytes
behind its beginning, so that one function serves A and its transpose. The sums of a tile of 4 x 8 elements stay in
registers while p runs; narrower tiles take what is left at the edges.
"""

import base64
from pathlib import Path

TARGET = Path(__file__).resolve().parents[1] / "playground" / "simd.js"
PAGES = 512  # of 64 KiB
I32, F32, V128 = 0x7F, 0x7D, 0x7B
ARGUMENTS = ("C", "A", "B", "m", "n", "k", "row_step", "column_step", "add")
POINTERS = ("i", "j", "p", "b", "c", "width", "a0", "a1", "a2", "a3")
SCALARS, VECTORS = (
    ("s0", "s1", "s2", "s3", "x", "y"),
    ("v00", "v01", "v10", "v11", "v20", "v21", "v30", "v31", "u", "w0", "w1"),
)
INDEX = {name: index for index, name in enumerate(ARGUMENTS + POINTERS + SCALARS + VECTORS)}

ADD, SUB, MUL, LESS_OR_EQUAL = b"\x6a", b"\x6b", b"\x6c", b"\x4c"
END, VOID = b"\x0b", b"\x40"


def number(value: int) -> bytes:
    """An unsigned LEB128 number."""
    out = bytearray()
    while True:
        value, low = value >> 7, value & 0x7F
        out.append(low | (0x80 if value else 0))
        if not value:
            return bytes(out)


def get(name: str) -> bytes:
    return b"\x20" + number(INDEX[name])


def put(name: str, *value: bytes) -> bytes:
    return b"".join(value) + b"\x21" + number(INDEX[name])


def whole(value: int) -> bytes:
    """An integer constant under 64, whose signed and unsigned forms are the same."""
    return b"\x41" + bytes([value])


def step(name: str, by: bytes) -> bytes:
    return put(name, get(name), by, ADD)


def simd(code: int) -> bytes:
    return b"\xfd" + number(code)


def at(offset: int) -> bytes:
    """The tail of a load or store: alignment 4, and an offset in bytes."""
    return number(2) + number(offset)


def loop(room: tuple[str, int, str], *body: bytes) -> bytes:
    """Repeat the body while ``counter + count <= bound``."""
    counter, count, bound = room
    test = get(counter) + whole(count) + ADD + get(bound) + LESS_OR_EQUAL
    return b"\x02" + VOID + b"\x03" + VOID + test + b"\x45\x0d\x01" + b"".join(body) + b"\x0c\x00" + END + END


class Tile:
    """A tile of ``rows`` x 8 elements in vectors, or of ``rows`` x 1 in plain numbers."""

    def __init__(self, rows: int, columns: int):
        self.rows, self.columns = rows, columns
        self.wide = columns == 8
        if self.wide:
            self.load, self.store, self.spread = simd(0), simd(11), simd(9)
            self.zero, self.plus, self.times = simd(12) + bytes(16), simd(228), simd(230)
        else:
            self.load, self.store, self.spread = b"\x2a", b"\x38", b"\x2a"
            self.zero, self.plus, self.times = b"\x43" + bytes(4), b"\x92", b"\x94"

    def sums(self, row: int) -> list[tuple[str, int]]:
        """The registers of a row's sums, each with its offset in memory."""
        return [(f"v{row}0", 0), (f"v{row}1", 16)] if self.wide else [(f"s{row}", 0)]

    def through_c(self, act) -> bytes:
        """Do something to every sum, with ``c`` at the beginning of its row."""
        code = put("c", get("C"), get("i"), get("width"), MUL, ADD, get("j"), whole(4), MUL, ADD)
        for row in range(self.rows):
            code += b"".join(act(name, offset) for name, offset in self.sums(row)) + step("c", get("width"))
        return code

    def code(self) -> bytes:
        names = [name for row in range(self.rows) for name, _ in self.sums(row)]
        code = b"".join(put(name, self.zero) for name in names)
        code += get("add") + b"\x04" + VOID
        code += self.through_c(lambda name, offset: put(name, get("c"), self.load, at(offset))) + END
        code += put("a0", get("A"), get("i"), get("row_step"), MUL, ADD)
        for row in range(1, self.rows):
            code += put(f"a{row}", get(f"a{row - 1}"), get("row_step"), ADD)
        code += put("b", get("B"), get("j"), whole(4), MUL, ADD) + put("p", whole(0))
        code += loop(("p", 1, "k"), self.column())
        return code + self.through_c(lambda name, offset: get("c") + get(name) + self.store + at(offset))

    def column(self) -> bytes:
        """Add one column of A times one row of B."""
        of_b, of_a = (("w0", "w1"), "u") if self.wide else (("y",), "x")
        code = b"".join(put(name, get("b"), self.load, at(16 * part)) for part, name in enumerate(of_b))
        for row in range(self.rows):
            code += put(of_a, get(f"a{row}"), self.spread, at(0))
            for (name, _), other in zip(self.sums(row), of_b, strict=True):
                code += put(name, get(name), get(of_a), get(other), self.times, self.plus)
            code += step(f"a{row}", get("column_step"))
        return code + step("b", get("width")) + step("p", whole(1))


def function() -> bytes:
    code = put("width", get("n"), whole(4), MUL)
    for rows in (4, 1):
        across = put("j", whole(0))
        for columns in (8, 1):
            across += loop(("j", columns, "n"), Tile(rows, columns).code(), step("j", whole(columns)))
        code += loop(("i", rows, "m"), across, step("i", whole(rows)))
    groups = ((POINTERS, I32), (SCALARS, F32), (VECTORS, V128))
    declared = number(len(groups)) + b"".join(number(len(names)) + bytes([kind]) for names, kind in groups)
    return declared + code + END


def section(kind: int, *items: bytes) -> bytes:
    content = number(len(items)) + b"".join(items)
    return bytes([kind]) + number(len(content)) + content


def module() -> bytes:
    """The whole module, byte by byte: type, function, memory, exports, code."""
    body = function()
    name = lambda text: number(len(text)) + text.encode()  # noqa: E731
    return (
        b"\x00asm\x01\x00\x00\x00"
        + section(1, b"\x60" + number(len(ARGUMENTS)) + bytes([I32] * len(ARGUMENTS)) + number(0))
        + section(3, number(0))
        + section(5, b"\x00" + number(PAGES))
        + section(7, name("multiply") + b"\x00\x00", name("memory") + b"\x02\x00")
        + section(10, number(len(body)) + body)
    )


def text() -> str:
    code = base64.b64encode(module()).decode()
    return f'// Made by book/tools/playground_kernel.py, which says what it does.\nexport const SIMD = "{code}";\n'


if __name__ == "__main__":
    TARGET.write_text(text(), encoding="utf-8")
    print(f"book: {TARGET.name} holds {len(module())} bytes of WebAssembly")

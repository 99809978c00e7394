// Where numbers live, and the one product of matrices that everything is made of.
//
// A kernel hands out arrays from one stretch of memory. What is taken before keep() stays (weights, moments); what is
// taken after it is scratch, and release() takes it all back at the beginning of a step; reset() takes
// back everything.
//
// multiply(C, A, B, m, n, k, rowStep, columnStep, add): C = A B, or C + A B. C is (m, n) and B is (k, n), row after
// row; A(i, p) = A[rowStep i + columnStep p], so that A may stand transposed.

import { SIMD } from "./simd.js";

const BYTES = 1 << 25;
const FIRST_BYTE = 64;

function arena(buffer, Numbers) {
  const size = Numbers.BYTES_PER_ELEMENT;
  let top = FIRST_BYTE;
  let kept = FIRST_BYTE;
  return {
    take(length) {
      const array = new Numbers(buffer, top, length).fill(0);
      top = (top + length * size + 15) & ~15;
      return array;
    },
    keep() {
      kept = top;
    },
    release() {
      top = kept;
    },
    reset() {
      top = kept = FIRST_BYTE;
    },
  };
}

// In plain JavaScript, for "float64" or "float32". Four rows of B at a time: a fourth of the traffic with C.
export function plainKernel(precision = "float32") {
  const Numbers = precision === "float64" ? Float64Array : Float32Array;
  function multiply(C, A, B, m, n, k, rowStep, columnStep, add) {
    if (!add) C.fill(0, 0, m * n);
    for (let i = 0; i < m; i++) {
      const c = i * n;
      let p = 0;
      for (; p + 4 <= k; p += 4) {
        const at = i * rowStep + p * columnStep;
        const a0 = A[at];
        const a1 = A[at + columnStep];
        const a2 = A[at + 2 * columnStep];
        const a3 = A[at + 3 * columnStep];
        const b0 = p * n;
        const b1 = b0 + n;
        const b2 = b1 + n;
        const b3 = b2 + n;
        for (let j = 0; j < n; j++) C[c + j] += a0 * B[b0 + j] + a1 * B[b1 + j] + a2 * B[b2 + j] + a3 * B[b3 + j];
      }
      for (; p < k; p++) {
        const a = A[i * rowStep + p * columnStep];
        for (let j = 0; j < n; j++) C[c + j] += a * B[p * n + j];
      }
    }
  }
  return { name: `JavaScript, ${precision}`, multiply, ...arena(new ArrayBuffer(BYTES), Numbers) };
}

// The same in WebAssembly, four numbers at a time; null where a browser, or a page's policy, has no room for it.
export function simdKernel() {
  try {
    const bytes = Uint8Array.from(atob(SIMD), (letter) => letter.charCodeAt(0));
    const { memory, multiply } = new WebAssembly.Instance(new WebAssembly.Module(bytes)).exports;
    return {
      name: "WebAssembly, float32",
      multiply(C, A, B, m, n, k, rowStep, columnStep, add) {
        const [a, b, c] = [A.byteOffset, B.byteOffset, C.byteOffset];
        multiply(c, a, b, m, n, k, 4 * rowStep, 4 * columnStep, add ? 1 : 0);
      },
      ...arena(memory.buffer, Float32Array),
    };
  } catch {
    return null;
  }
}

export function bestKernel() {
  return simdKernel() ?? plainKernel("float32");
}

// Random numbers that a seed repeats bit for bit: xoshiro128** (Blackman and Vigna 2021), its state filled by the
// mixing steps of splitmix32.

export function randomNumbers(seed) {
  let mixed = seed >>> 0;
  const state = new Uint32Array(4).map(() => {
    mixed = (mixed + 0x9e3779b9) >>> 0;
    let word = mixed;
    word = Math.imul(word ^ (word >>> 16), 0x21f0aaad);
    word = Math.imul(word ^ (word >>> 15), 0x735a2d97);
    return word ^ (word >>> 15);
  });
  const rotate = (word, by) => (word << by) | (word >>> (32 - by));

  function word() {
    const result = Math.imul(rotate(Math.imul(state[1], 5), 7), 9) >>> 0;
    const shifted = state[1] << 9;
    state[2] ^= state[0];
    state[3] ^= state[1];
    state[1] ^= state[2];
    state[0] ^= state[3];
    state[2] ^= shifted;
    state[3] = rotate(state[3], 11);
    return result;
  }

  // On [0, 1).
  const uniform = () => word() / 2 ** 32;
  const below = (count) => Math.floor(uniform() * count);

  // Box and Muller make two normal numbers at once; the second waits for the next call.
  let waiting = null;
  function normal() {
    if (waiting !== null) {
      const number = waiting;
      waiting = null;
      return number;
    }
    const radius = Math.sqrt(-2 * Math.log(1 - uniform()));
    const angle = 2 * Math.PI * uniform();
    waiting = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  }

  return { uniform, below, normal };
}

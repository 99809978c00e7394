// How far generated samples are from real ones.

// The Wasserstein-1 distance between two samples of n points each, [x1, y1, x2, y2, ...]: the mean distance within the
// cheapest pairing. Points of the first sample are added one by one along a shortest augmenting path (Kuhn 1955, Jonker
// and Volgenant 1987); position 0 of every array is the point that is about to be paired.
export function wasserstein(first, second) {
  const n = first.length / 2;
  const cost = new Float64Array((n + 1) * (n + 1));
  for (let i = 1; i <= n; i++) {
    for (let j = 1; j <= n; j++) {
      const [x, y] = [first[2 * i - 2] - second[2 * j - 2], first[2 * i - 1] - second[2 * j - 1]];
      cost[i * (n + 1) + j] = Math.sqrt(x * x + y * y);
    }
  }
  const [ofFirst, ofSecond] = [new Float64Array(n + 1), new Float64Array(n + 1)];
  const partner = new Int32Array(n + 1);
  const cameFrom = new Int32Array(n + 1);
  for (let i = 1; i <= n; i++) {
    const slack = new Float64Array(n + 1).fill(Infinity);
    const reached = new Uint8Array(n + 1);
    let at = 0;
    partner[0] = i;
    while (partner[at]) {
      reached[at] = 1;
      const row = partner[at] * (n + 1);
      const paid = ofFirst[partner[at]];
      let least = Infinity;
      let next = 0;
      for (let j = 1; j <= n; j++) {
        if (reached[j]) continue;
        const more = cost[row + j] - paid - ofSecond[j];
        if (more < slack[j]) {
          slack[j] = more;
          cameFrom[j] = at;
        }
        if (slack[j] < least) {
          least = slack[j];
          next = j;
        }
      }
      for (let j = 0; j <= n; j++) {
        if (reached[j]) {
          ofFirst[partner[j]] += least;
          ofSecond[j] -= least;
        } else slack[j] -= least;
      }
      at = next;
    }
    while (at) {
      partner[at] = partner[cameFrom[at]];
      at = cameFrom[at];
    }
  }
  return -ofSecond[0] / n;
}

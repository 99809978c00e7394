// A multilayer perceptron and its sweeps, in the letters of gpcore/sweep.py:
//
//   a_l = sigma(z_l),  z_l = W_l a_{l-1} + b_l,  a_0 = x; the last layer has no sigma
//   adjoints, back      u_l = W_{l+1}^T r_{l+1},  r_l = sigma'(z_l) u_l,  g = W_1^T r_1
//   tangents, forward   s_l = W_l t_{l-1},  t_l = sigma'(z_l) s_l
//   curvature           e_l = sigma'(z_l) W_{l+1}^T e_{l+1} + u_l s_l sigma''(z_l)
//
// A batch is n rows, one a sample. Here the layers count from 0: W[l] leads from a[l] to a[l + 1].

const LEAK = 0.2;

// sigma, and its slope and curvature as functions of its value a; no curvature where it is 0 almost everywhere.
export const ACTIVATIONS = {
  leaky_relu: { value: (z) => (z > 0 ? z : LEAK * z), slope: (a) => (a > 0 ? 1 : LEAK) },
  relu: { value: (z) => (z > 0 ? z : 0), slope: (a) => (a > 0 ? 1 : 0) },
  tanh: { value: Math.tanh, slope: (a) => 1 - a * a, curvature: (a) => -2 * a * (1 - a * a) },
};

// All parameters stand in one array, all gradients in another; W, b, dW, db are windows on them.
export function network(sizes, activation, kernel) {
  const layers = sizes.length - 1;
  const length = sizes.slice(1).reduce((sum, out, l) => sum + out * (sizes[l] + 1), 0);
  const parameters = kernel.take(length);
  const gradient = kernel.take(length);
  const windows = { W: [], b: [], dW: [], db: [] };
  const net = { sizes, layers, parameters, gradient, kernel, sigma: ACTIVATIONS[activation], ...windows };
  let at = 0;
  const window = (count) => [parameters, gradient].map((array) => array.subarray(at, at + count));
  for (let l = 0; l < layers; l++) {
    const weights = sizes[l] * sizes[l + 1];
    [net.W[l], net.dW[l]] = window(weights);
    at += weights;
    [net.b[l], net.db[l]] = window(sizes[l + 1]);
    at += sizes[l + 1];
  }
  return net;
}

// PyTorch's initialisation of linear layers: uniform within 1 / sqrt(inputs), biases too.
export function initialise(net, random) {
  for (let l = 0; l < net.layers; l++) {
    const bound = 1 / Math.sqrt(net.sizes[l]);
    for (const array of [net.W[l], net.b[l]]) {
      for (let i = 0; i < array.length; i++) array[i] = bound * (2 * random.uniform() - 1);
    }
  }
}

// W_l times every row, with its bias or without: activations forward, tangents forward.
function push(net, l, rows, n, bias) {
  const [inputs, outputs] = [net.sizes[l], net.sizes[l + 1]];
  const turned = net.kernel.take(inputs * outputs);
  for (let j = 0; j < outputs; j++) for (let i = 0; i < inputs; i++) turned[i * outputs + j] = net.W[l][j * inputs + i];
  const z = net.kernel.take(n * outputs);
  if (bias) for (let row = 0; row < n; row++) z.set(net.b[l], row * outputs);
  net.kernel.multiply(z, rows, turned, n, outputs, inputs, inputs, 1, bias);
  return z;
}

// W_l transposed times every row: adjoints back.
function pull(net, l, rows, n) {
  const [inputs, outputs] = [net.sizes[l], net.sizes[l + 1]];
  const u = net.kernel.take(n * inputs);
  net.kernel.multiply(u, rows, net.W[l], n, inputs, outputs, outputs, 1, false);
  return u;
}

// Add the sum over the rows of r_n a_n^T to dW_l.
function addWeights(net, l, r, a, n) {
  const [inputs, outputs] = [net.sizes[l], net.sizes[l + 1]];
  if (inputs >= 4) {
    net.kernel.multiply(net.dW[l], r, a, outputs, inputs, n, 1, outputs, true);
    return;
  }
  // The kernel likes its result wide: for a layer of two inputs, take the transpose.
  const turned = net.kernel.take(inputs * outputs);
  net.kernel.multiply(turned, a, r, inputs, outputs, n, 1, inputs, false);
  for (let j = 0; j < outputs; j++) for (let i = 0; i < inputs; i++) net.dW[l][j * inputs + i] += turned[i * outputs + j];
}

// Add the sum over the rows of r_n to db_l; with `share`, of share_n r_n.
function addBiases(net, l, r, n, share) {
  const width = net.sizes[l + 1];
  const db = net.db[l];
  for (let row = 0, at = 0; row < n; row++) {
    const weight = share ? share[row] : 1;
    for (let j = 0; j < width; j++) db[j] += weight * r[at++];
  }
}

function copy(net, rows) {
  const other = net.kernel.take(rows.length);
  other.set(rows);
  return other;
}

function timesSlope(net, rows, a) {
  const { slope } = net.sigma;
  for (let i = 0; i < rows.length; i++) rows[i] *= slope(a[i]);
}

// 1. Forward: [a_0, ..., a_L]; the last holds the scores.
export function forward(net, x, n) {
  const a = [x];
  const { value } = net.sigma;
  for (let l = 0; l < net.layers; l++) {
    const z = push(net, l, a[l], n, true);
    if (l + 1 < net.layers) for (let i = 0; i < z.length; i++) z[i] = value(z[i]);
    a.push(z);
  }
  return a;
}

// 2. Adjoints, back, from those of the outputs. g is left out unless it is wanted.
export function adjoints(net, a, outputs, n, wantInput) {
  const r = [];
  const u = [];
  r[net.layers - 1] = outputs;
  for (let l = net.layers - 1; l > 0; l--) {
    u[l - 1] = pull(net, l, r[l], n);
    // Only a curved sigma needs u_l again.
    r[l - 1] = net.sigma.curvature ? copy(net, u[l - 1]) : u[l - 1];
    timesSlope(net, r[l - 1], a[l]);
  }
  return { r, u, g: wantInput ? pull(net, 0, r[0], n) : null };
}

// Adjoints and the gradients they make; returns g.
export function backward(net, a, outputs, n, wantInput = false) {
  const { r, g } = adjoints(net, a, outputs, n, wantInput);
  for (let l = 0; l < net.layers; l++) {
    addWeights(net, l, r[l], a[l], n);
    addBiases(net, l, r[l], n, null);
  }
  return g;
}

// Row by row, the norm of g.
export function rowNorms(g, n) {
  const width = g.length / n;
  return Float64Array.from({ length: n }, (_, row) => {
    let squares = 0;
    for (let j = 0; j < width; j++) squares += g[row * width + j] ** 2;
    return Math.sqrt(squares);
  });
}

// The norm of the score's input gradient at every row of x.
export function inputNorms(net, a, n) {
  const ones = net.kernel.take(n).fill(1);
  return rowNorms(adjoints(net, a, ones, n, true).g, n);
}

// 2. to 5. of a penalised critic, whose loss has the slopes `r` with respect to the scores: adds the gradients of loss
// and penalty. `points` and `others` are { start, n }: the rows that the penalty is taken at, and the rows that only
// the loss wants. slopeOf(norm) is phi'(norm), divided by the number of points. Returns the norms.
export function doubleBackward(net, a, r, points, others, slopeOf) {
  const { kernel, layers, sizes, sigma } = net;
  const part = ({ start, n }) => a.map((rows, l) => rows.subarray(start * sizes[l], (start + n) * sizes[l]));
  const n = points.n;
  const x = part(points);
  const ofPoints = adjoints(net, x, kernel.take(n).fill(1), n, true);
  const norms = rowNorms(ofPoints.g, n);

  // 3. Tangents. Where a norm is 0 its gradient is taken as 0.
  const t = [kernel.take(n * sizes[0])];
  for (let i = 0; i < t[0].length; i++) {
    const norm = norms[Math.floor(i / sizes[0])];
    t[0][i] = norm > 0 ? (slopeOf(norm) / norm) * ofPoints.g[i] : 0;
  }
  const s = [];
  for (let l = 0; l + 1 < layers; l++) {
    s[l] = push(net, l, t[l], n, false);
    t[l + 1] = copy(net, s[l]);
    timesSlope(net, t[l + 1], x[l + 1]);
  }

  // 4. Weights. The points' adjoints are 1 at the scores: the loss's share of them is multiplied in here.
  const share = points.start < r.length ? r.subarray(points.start, points.start + n) : null;
  for (let l = 0; l < layers; l++) {
    const rows = t[l];
    if (share) for (let i = 0; i < rows.length; i++) rows[i] += share[Math.floor(i / sizes[l])] * x[l][i];
    addWeights(net, l, ofPoints.r[l], rows, n);
    if (share) addBiases(net, l, ofPoints.r[l], n, share);
  }
  if (others.n) backward(net, part(others), r.subarray(others.start, others.start + others.n), others.n);

  // 5. Curved activations move their slopes too.
  if (sigma.curvature) {
    let e = null;
    for (let l = layers - 2; l >= 0; l--) {
      const bend = kernel.take(s[l].length);
      for (let i = 0; i < bend.length; i++) bend[i] = ofPoints.u[l][i] * s[l][i] * sigma.curvature(x[l + 1][i]);
      if (e) {
        const below = pull(net, l + 1, e, n);
        timesSlope(net, below, x[l + 1]);
        for (let i = 0; i < bend.length; i++) bend[i] += below[i];
      }
      e = bend;
      addWeights(net, l, e, x[l], n);
      addBiases(net, l, e, n, null);
    }
  }
  return norms;
}

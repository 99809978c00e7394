// Made by book/tools/playground.py from the modules in book/playground, which are written to be read.
(function livingPage() {
"use strict";
const ring = Array.from({ length: 8 }, (_, i) => (2 * Math.PI * i) / 8);
const steps = [-4, -2, 0, 2, 4];
const CENTERS = {
"8_gaussians": ring.map((angle) => [(2 / 1.414) * Math.cos(angle), (2 / 1.414) * Math.sin(angle)]),
"25_gaussians": steps.flatMap((x) => steps.map((y) => [x / 2.828, y / 2.828])),
two_points: [[-1, 0], [1, 0]],
};
const DEVIATIONS = { "8_gaussians": 0.02 / 1.414, "25_gaussians": 0.05 / 2.828, two_points: 0 };
const DRAWN_DEVIATION = 0.03;
function spread(centers, deviation, random) {
const [x, y] = centers[random.below(centers.length)];
return [x + deviation * random.normal(), y + deviation * random.normal()];
}
function swissRoll(random) {
const t = 1.5 * Math.PI * (1 + 2 * random.uniform());
return [(t * Math.cos(t) + 0.25 * random.normal()) / 7.5, (t * Math.sin(t) + 0.25 * random.normal()) / 7.5];
}
function sampler(data, points, random) {
if (data === "swiss_roll") return () => swissRoll(random);
if (data === "drawn") {
const centers = points.length ? points : [[0, 0]];
return () => spread(centers, DRAWN_DEVIATION, random);
}
return () => spread(CENTERS[data], DEVIATIONS[data], random);
}
function modesCovered(data, samples) {
const centers = CENTERS[data];
if (!centers) return null;
const distance = (p, q) => Math.hypot(p[0] - q[0], p[1] - q[1]);
const radius = Math.min(...centers.slice(1).map((center) => distance(center, centers[0]))) / 4;
const counts = centers.map(() => 0);
const n = samples.length / 2;
for (let i = 0; i < n; i++) {
const sample = [samples[2 * i], samples[2 * i + 1]];
centers.forEach((center, mode) => {
if (distance(center, sample) < radius) counts[mode]++;
});
}
return { covered: counts.filter((count) => count >= n / centers.length / 4).length, of: centers.length };
}
function wasserstein(first, second) {
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
const LEAK = 0.2;
const ACTIVATIONS = {
leaky_relu: { value: (z) => (z > 0 ? z : LEAK * z), slope: (a) => (a > 0 ? 1 : LEAK) },
relu: { value: (z) => (z > 0 ? z : 0), slope: (a) => (a > 0 ? 1 : 0) },
tanh: { value: Math.tanh, slope: (a) => 1 - a * a, curvature: (a) => -2 * a * (1 - a * a) },
};
function network(sizes, activation, kernel) {
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
function initialise(net, random) {
for (let l = 0; l < net.layers; l++) {
const bound = 1 / Math.sqrt(net.sizes[l]);
for (const array of [net.W[l], net.b[l]]) {
for (let i = 0; i < array.length; i++) array[i] = bound * (2 * random.uniform() - 1);
}
}
}
function push(net, l, rows, n, bias) {
const [inputs, outputs] = [net.sizes[l], net.sizes[l + 1]];
const turned = net.kernel.take(inputs * outputs);
for (let j = 0; j < outputs; j++) for (let i = 0; i < inputs; i++) turned[i * outputs + j] = net.W[l][j * inputs + i];
const z = net.kernel.take(n * outputs);
if (bias) for (let row = 0; row < n; row++) z.set(net.b[l], row * outputs);
net.kernel.multiply(z, rows, turned, n, outputs, inputs, inputs, 1, bias);
return z;
}
function pull(net, l, rows, n) {
const [inputs, outputs] = [net.sizes[l], net.sizes[l + 1]];
const u = net.kernel.take(n * inputs);
net.kernel.multiply(u, rows, net.W[l], n, inputs, outputs, outputs, 1, false);
return u;
}
function addWeights(net, l, r, a, n) {
const [inputs, outputs] = [net.sizes[l], net.sizes[l + 1]];
if (inputs >= 4) {
net.kernel.multiply(net.dW[l], r, a, outputs, inputs, n, 1, outputs, true);
return;
}
const turned = net.kernel.take(inputs * outputs);
net.kernel.multiply(turned, a, r, inputs, outputs, n, 1, inputs, false);
for (let j = 0; j < outputs; j++) for (let i = 0; i < inputs; i++) net.dW[l][j * inputs + i] += turned[i * outputs + j];
}
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
function forward(net, x, n) {
const a = [x];
const { value } = net.sigma;
for (let l = 0; l < net.layers; l++) {
const z = push(net, l, a[l], n, true);
if (l + 1 < net.layers) for (let i = 0; i < z.length; i++) z[i] = value(z[i]);
a.push(z);
}
return a;
}
function adjoints(net, a, outputs, n, wantInput) {
const r = [];
const u = [];
r[net.layers - 1] = outputs;
for (let l = net.layers - 1; l > 0; l--) {
u[l - 1] = pull(net, l, r[l], n);
r[l - 1] = net.sigma.curvature ? copy(net, u[l - 1]) : u[l - 1];
timesSlope(net, r[l - 1], a[l]);
}
return { r, u, g: wantInput ? pull(net, 0, r[0], n) : null };
}
function backward(net, a, outputs, n, wantInput = false) {
const { r, g } = adjoints(net, a, outputs, n, wantInput);
for (let l = 0; l < net.layers; l++) {
addWeights(net, l, r[l], a[l], n);
addBiases(net, l, r[l], n, null);
}
return g;
}
function rowNorms(g, n) {
const width = g.length / n;
return Float64Array.from({ length: n }, (_, row) => {
let squares = 0;
for (let j = 0; j < width; j++) squares += g[row * width + j] ** 2;
return Math.sqrt(squares);
});
}
function inputNorms(net, a, n) {
const ones = net.kernel.take(n).fill(1);
return rowNorms(adjoints(net, a, ones, n, true).g, n);
}
function doubleBackward(net, a, r, points, others, slopeOf) {
const { kernel, layers, sizes, sigma } = net;
const part = ({ start, n }) => a.map((rows, l) => rows.subarray(start * sizes[l], (start + n) * sizes[l]));
const n = points.n;
const x = part(points);
const ofPoints = adjoints(net, x, kernel.take(n).fill(1), n, true);
const norms = rowNorms(ofPoints.g, n);
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
const share = points.start < r.length ? r.subarray(points.start, points.start + n) : null;
for (let l = 0; l < layers; l++) {
const rows = t[l];
if (share) for (let i = 0; i < rows.length; i++) rows[i] += share[Math.floor(i / sizes[l])] * x[l][i];
addWeights(net, l, ofPoints.r[l], rows, n);
if (share) addBiases(net, l, ofPoints.r[l], n, share);
}
if (others.n) backward(net, part(others), r.subarray(others.start, others.start + others.n), others.n);
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
function randomNumbers(seed) {
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
const uniform = () => word() / 2 ** 32;
const below = (count) => Math.floor(uniform() * count);
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
const SMOOTHING = 0.97;
const WARMUP = 25;
const average = (numbers) => numbers.reduce((sum, number) => sum + number, 0) / numbers.length;
function placeOf(number, sorted) {
let [low, high] = [0, sorted.length];
while (low < high) {
const middle = (low + high) >> 1;
if (sorted[middle] < number) low = middle + 1;
else high = middle;
}
return low;
}
const THRESHOLDS = {
clip_norm: () => (norm, { threshold }) => threshold || Infinity,
autoclip() {
const seen = [];
return (norm, { percentile }) => {
seen.splice(placeOf(norm, seen), 0, norm);
const position = (percentile / 100) * (seen.length - 1);
const below = Math.floor(position);
const above = Math.min(below + 1, seen.length - 1);
return seen[below] + (position - below) * (seen[above] - seen[below]);
};
},
zclip() {
const first = [];
let mean = null;
let variance = null;
return (norm, { z }) => {
if (mean === null) {
first.push(norm);
if (first.length === WARMUP) {
mean = average(first);
variance = average(first.map((number) => (number - mean) ** 2));
}
return Infinity;
}
const deviation = Math.sqrt(variance);
const zeta = (norm - mean) / Math.max(deviation, 1e-12);
const kept = norm > mean + z * deviation ? mean + (deviation * z ** 2) / zeta : norm;
mean = SMOOTHING * mean + (1 - SMOOTHING) * kept;
variance = SMOOTHING * variance + (1 - SMOOTHING) * (kept - mean) ** 2;
return kept;
};
},
};
const scales = ({ scaling, threshold }) => scaling !== "clip_norm" || threshold > 0;
function createScaler() {
let kind = null;
let thresholdOf = null;
return (gradient, settings) => {
let squares = 0;
for (let i = 0; i < gradient.length; i++) squares += gradient[i] ** 2;
const before = Math.sqrt(squares);
if (!Number.isFinite(before)) return { before, after: before };
if (settings.scaling !== kind) {
kind = settings.scaling;
thresholdOf = THRESHOLDS[kind]();
}
const threshold = thresholdOf(before, settings);
if (!(before > threshold)) return { before, after: before };
for (let i = 0; i < gradient.length; i++) gradient[i] *= threshold / before;
return { before, after: threshold };
};
}
const softplus = (x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
const sigmoid = (x) => (x >= 0 ? 1 / (1 + Math.exp(-x)) : 1 - 1 / (1 + Math.exp(x)));
const crossEntropy = { real: (s) => [softplus(-s), -sigmoid(-s)], fake: (s) => [softplus(s), sigmoid(s)] };
const LOSSES = {
wasserstein: { real: (s) => [-s, -1], fake: (s) => [s, 1], generator: (s) => [-s, -1] },
non_saturating: { ...crossEntropy, generator: (s) => [softplus(-s), -sigmoid(-s)] },
minimax: { ...crossEntropy, generator: (s) => [-softplus(s), -sigmoid(s)] },
least_squares: {
real: (s) => [(s - 1) ** 2 / 2, s - 1],
fake: (s) => [s ** 2 / 2, s],
generator: (s) => [(s - 1) ** 2 / 2, s - 1],
},
};
const PENALTIES = {
gp: { at: "interpolates", factor: 1, excess: (norm) => norm - 1 },
gp_one_sided: { at: "interpolates", factor: 1, excess: (norm) => Math.max(norm - 1, 0) },
gp_zero: { at: "interpolates", factor: 1, excess: (norm) => norm },
r1: { at: "real", factor: 1 / 2, excess: (norm) => norm },
r1_r2: { at: "real and generated", factor: 1 / 2, excess: (norm) => norm },
};
const ROWS = {
interpolates: (n) => [{ start: 2 * n, n }, { start: 0, n: 2 * n }],
real: (n) => [{ start: 0, n }, { start: n, n }],
"real and generated": (n) => [{ start: 0, n: 2 * n }, { start: 2 * n, n: 0 }],
};
function criticGradients(critic, real, fake, eps, n, { loss, constraint, weight }) {
const { kernel } = critic;
const penalty = PENALTIES[constraint];
const between = penalty?.at === "interpolates";
const width = critic.sizes[0];
const rows = between ? 3 * n : 2 * n;
const x = kernel.take(rows * width);
x.set(real);
x.set(fake, n * width);
if (between) {
for (let i = 0; i < n * width; i++) {
const share = eps[Math.floor(i / width)];
x[2 * n * width + i] = share * real[i] + (1 - share) * fake[i];
}
}
const a = forward(critic, x, rows);
const scores = a[critic.layers];
const r = kernel.take(2 * n);
let mean = 0;
for (let i = 0; i < 2 * n; i++) {
const [value, slope] = LOSSES[loss][i < n ? "real" : "fake"](scores[i]);
mean += value / n;
r[i] = slope / n;
}
critic.gradient.fill(0);
if (!penalty) {
backward(critic, a, r, 2 * n);
return { loss: mean, penalty: 0 };
}
const [points, others] = ROWS[penalty.at](n);
const scale = (weight * penalty.factor) / n;
const norms = doubleBackward(critic, a, r, points, others, (norm) => 2 * scale * penalty.excess(norm));
return { loss: mean, penalty: norms.reduce((sum, norm) => sum + scale * penalty.excess(norm) ** 2, 0) };
}
function generatorGradients(generator, critic, noise, n, { loss }) {
const a = forward(generator, noise, n);
const judged = forward(critic, a[generator.layers], n);
const r = critic.kernel.take(n);
let mean = 0;
for (let i = 0; i < n; i++) {
const [value, slope] = LOSSES[loss].generator(judged[critic.layers][i]);
mean += value / n;
r[i] = slope / n;
}
const g = backward(critic, judged, r, n, true);
generator.gradient.fill(0);
backward(generator, a, g, n);
return { loss: mean };
}
function clipWeights(net, clip) {
const { parameters } = net;
for (let i = 0; i < parameters.length; i++) parameters[i] = Math.min(Math.max(parameters[i], -clip), clip);
}
function adam(net, beta1 = 0.5, beta2 = 0.9, tiny = 1e-8) {
const { parameters, gradient } = net;
const mean = net.kernel.take(parameters.length);
const square = net.kernel.take(parameters.length);
let t = 0;
return (rate) => {
t++;
const unbias1 = 1 - beta1 ** t;
const unbias2 = 1 - beta2 ** t;
for (let i = 0; i < parameters.length; i++) {
mean[i] = beta1 * mean[i] + (1 - beta1) * gradient[i];
square[i] = beta2 * square[i] + (1 - beta2) * gradient[i] ** 2;
parameters[i] -= (rate * (mean[i] / unbias1)) / (Math.sqrt(square[i] / unbias2) + tiny);
}
};
}
const sgd = ({ parameters, gradient }) => (rate) => {
for (let i = 0; i < parameters.length; i++) parameters[i] -= rate * gradient[i];
};
const OPTIMIZERS = { adam, sgd };
function game(settings, kernel) {
const { width, activation, seed, batch, optimizer } = settings;
const [weights, noise, reals] = [0, 1, 2].map((stream) => randomNumbers(3 * seed + stream));
const critic = network([2, width, width, 1], activation, kernel);
const generator = network([2, width, width, 2], activation, kernel);
initialise(critic, weights);
initialise(generator, weights);
const steps = { critic: OPTIMIZERS[optimizer](critic), generator: OPTIMIZERS[optimizer](generator) };
const scale = { critic: createScaler(), generator: createScaler() };
if (settings.constraint === "clip") clipWeights(critic, settings.clip);
kernel.keep();
const fill = (array, number) => {
for (let i = 0; i < array.length; i++) array[i] = number();
return array;
};
const drawNoise = (n, random) => fill(kernel.take(2 * n), random.normal);
function drawReal(n, { data, points }, random) {
const draw = sampler(data, points, random);
const rows = kernel.take(2 * n);
for (let i = 0; i < n; i++) rows.set(draw(), 2 * i);
return rows;
}
let turn = 0;
let penalty = 0;
function criticStep(now) {
kernel.release();
const fake = forward(generator, drawNoise(batch, noise), batch)[generator.layers];
const eps = fill(kernel.take(batch), noise.uniform);
const due = turn++ % now.every === 0;
const wanted = due ? { ...now, weight: now.every * now.weight } : { ...now, constraint: "none" };
const found = criticGradients(critic, drawReal(batch, now, reals), fake, eps, batch, wanted);
if (due) penalty = found.penalty / now.every;
const measured = { loss: found.loss, penalty };
const norm = scale.critic(critic.gradient, now);
if (!Number.isFinite(measured.loss + measured.penalty + norm.before)) return { ...measured, norm, diverged: true };
steps.critic(now.lrCritic);
if (now.constraint === "clip") clipWeights(critic, now.clip);
return { ...measured, norm, diverged: false };
}
function generatorStep(now) {
kernel.release();
const measured = generatorGradients(generator, critic, drawNoise(batch, noise), batch, now);
const norm = scale.generator(generator.gradient, now);
if (!Number.isFinite(measured.loss + norm.before)) return { ...measured, norm, diverged: true };
steps.generator(now.lrGenerator);
return { ...measured, norm, diverged: false };
}
return {
critic,
generator,
step(now = settings) {
let ofCritic;
for (let i = 0; i < now.criticSteps; i++) {
ofCritic = criticStep(now);
if (ofCritic.diverged) return { critic: ofCritic, generator: null, diverged: true };
}
const ofGenerator = generatorStep(now);
return { critic: ofCritic, generator: ofGenerator, diverged: ofGenerator.diverged };
},
generated(n) {
kernel.release();
return Float32Array.from(forward(generator, drawNoise(n, randomNumbers(77)), n)[generator.layers]);
},
real(n, now = settings) {
kernel.release();
return Float32Array.from(drawReal(n, now, randomNumbers(78)));
},
pulls(n, { loss } = settings) {
kernel.release();
const samples = forward(generator, drawNoise(n, randomNumbers(77)), n)[generator.layers];
const a = forward(critic, samples, n);
const r = kernel.take(n);
r.set(a[critic.layers].map((score) => LOSSES[loss].generator(score)[1]));
return Float32Array.from(adjoints(critic, a, r, n, true).g, (slope) => -slope);
},
look(points, n) {
kernel.release();
const x = kernel.take(2 * n);
x.set(points);
const a = forward(critic, x, n);
return { values: Float32Array.from(a[critic.layers]), norms: Float32Array.from(inputNorms(critic, a, n)) };
},
};
}
const SIMD = "AGFzbQEAAAABDQFgCX9/f39/f39/fwADAgEABQQBAIAEBxUCCG11bHRpcGx5AAAGbWVtb3J5AgAKsgwBrwwDCn8GfQt7IARBBGwhDgJAA0AgCUEEaiADTEUNAUEAIQoCQANAIApBCGogBExFDQH9DAAAAAAAAAAAAAAAAAAAAAAhGf0MAAAAAAAAAAAAAAAAAAAAACEa/QwAAAAAAAAAAAAAAAAAAAAAIRv9DAAAAAAAAAAAAAAAAAAAAAAhHP0MAAAAAAAAAAAAAAAAAAAAACEd/QwAAAAAAAAAAAAAAAAAAAAAIR79DAAAAAAAAAAAAAAAAAAAAAAhH/0MAAAAAAAAAAAAAAAAAAAAACEgIAgEQCAAIAkgDmxqIApBBGxqIQ0gDf0AAgAhGSAN/QACECEaIA0gDmohDSAN/QACACEbIA39AAIQIRwgDSAOaiENIA39AAIAIR0gDf0AAhAhHiANIA5qIQ0gDf0AAgAhHyAN/QACECEgIA0gDmohDQsgASAJIAZsaiEPIA8gBmohECAQIAZqIREgESAGaiESIAIgCkEEbGohDEEAIQsCQANAIAtBAWogBUxFDQEgDP0AAgAhIiAM/QACECEjIA/9CQIAISEgGSAhICL95gH95AEhGSAaICEgI/3mAf3kASEaIA8gB2ohDyAQ/QkCACEhIBsgISAi/eYB/eQBIRsgHCAhICP95gH95AEhHCAQIAdqIRAgEf0JAgAhISAdICEgIv3mAf3kASEdIB4gISAj/eYB/eQBIR4gESAHaiERIBL9CQIAISEgHyAhICL95gH95AEhHyAgICEgI/3mAf3kASEgIBIgB2ohEiAMIA5qIQwgC0EBaiELDAALCyAAIAkgDmxqIApBBGxqIQ0gDSAZ/QsCACANIBr9CwIQIA0gDmohDSANIBv9CwIAIA0gHP0LAhAgDSAOaiENIA0gHf0LAgAgDSAe/QsCECANIA5qIQ0gDSAf/QsCACANICD9CwIQIA0gDmohDSAKQQhqIQoMAAsLAkADQCAKQQFqIARMRQ0BQwAAAAAhE0MAAAAAIRRDAAAAACEVQwAAAAAhFiAIBEAgACAJIA5saiAKQQRsaiENIA0qAgAhEyANIA5qIQ0gDSoCACEUIA0gDmohDSANKgIAIRUgDSAOaiENIA0qAgAhFiANIA5qIQ0LIAEgCSAGbGohDyAPIAZqIRAgECAGaiERIBEgBmohEiACIApBBGxqIQxBACELAkADQCALQQFqIAVMRQ0BIAwqAgAhGCAPKgIAIRcgEyAXIBiUkiETIA8gB2ohDyAQKgIAIRcgFCAXIBiUkiEUIBAgB2ohECARKgIAIRcgFSAXIBiUkiEVIBEgB2ohESASKgIAIRcgFiAXIBiUkiEWIBIgB2ohEiAMIA5qIQwgC0EBaiELDAALCyAAIAkgDmxqIApBBGxqIQ0gDSATOAIAIA0gDmohDSANIBQ4AgAgDSAOaiENIA0gFTgCACANIA5qIQ0gDSAWOAIAIA0gDmohDSAKQQFqIQoMAAsLIAlBBGohCQwACwsCQANAIAlBAWogA0xFDQFBACEKAkADQCAKQQhqIARMRQ0B/QwAAAAAAAAAAAAAAAAAAAAAIRn9DAAAAAAAAAAAAAAAAAAAAAAhGiAIBEAgACAJIA5saiAKQQRsaiENIA39AAIAIRkgDf0AAhAhGiANIA5qIQ0LIAEgCSAGbGohDyACIApBBGxqIQxBACELAkADQCALQQFqIAVMRQ0BIAz9AAIAISIgDP0AAhAhIyAP/QkCACEhIBkgISAi/eYB/eQBIRkgGiAhICP95gH95AEhGiAPIAdqIQ8gDCAOaiEMIAtBAWohCwwACwsgACAJIA5saiAKQQRsaiENIA0gGf0LAgAgDSAa/QsCECANIA5qIQ0gCkEIaiEKDAALCwJAA0AgCkEBaiAETEUNAUMAAAAAIRMgCARAIAAgCSAObGogCkEEbGohDSANKgIAIRMgDSAOaiENCyABIAkgBmxqIQ8gAiAKQQRsaiEMQQAhCwJAA0AgC0EBaiAFTEUNASAMKgIAIRggDyoCACEXIBMgFyAYlJIhEyAPIAdqIQ8gDCAOaiEMIAtBAWohCwwACwsgACAJIA5saiAKQQRsaiENIA0gEzgCACANIA5qIQ0gCkEBaiEKDAALCyAJQQFqIQkMAAsLCw==";
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
function plainKernel(precision = "float32") {
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
function simdKernel() {
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
function bestKernel() {
return simdKernel() ?? plainKernel("float32");
}
const REACH = 2.2;
const GRID = 41;
const SHOWN = 600;
const ARROWS = 150;
const PAIRS = 200;
const EVERY = 50;
const points = new Float32Array(2 * GRID * GRID);
for (let row = 0; row < GRID; row++) {
for (let column = 0; column < GRID; column++) {
const at = 2 * (row * GRID + column);
points[at] = REACH * ((2 * column) / (GRID - 1) - 1);
points[at + 1] = REACH * (1 - (2 * row) / (GRID - 1));
}
}
function look(play, settings) {
const generated = play.generated(SHOWN);
const modes = modesCovered(settings.data, generated);
return { generated, real: play.real(SHOWN, settings), arrows: play.pulls(ARROWS, settings), modes, ...play.look(points, GRID * GRID) };
}
function distance({ generated, real }) {
return generated.every(Number.isFinite) ? wasserstein(generated.subarray(0, 2 * PAIRS), real.subarray(0, 2 * PAIRS)) : null;
}
function createSession(post, slice) {
const kernel = bestKernel();
let settings = null;
let turn = 0;
let play = null;
let step = 0;
let until = 0;
let rows = [];
let worked = 0;
let diverged = false;
let awake = true;
let timer = null;
let measured = { step: 0, distance: null };
function once() {
const { critic, generator, ...result } = play.step(settings);
diverged = result.diverged;
if (diverged) return;
step++;
rows.push([
step, critic.loss, critic.penalty, generator.loss,
critic.norm.before, critic.norm.after, generator.norm.before, generator.norm.after,
]);
}
function answer() {
const seen = look(play, settings);
if (!step || step - measured.step >= EVERY) measured = { step, distance: distance(seen) };
post({ turn, step, worked, kernel: kernel.name, diverged, rows, distance: measured.distance, ...seen });
[rows, worked] = [[], 0];
}
function work() {
timer = null;
if (!awake) return;
const begun = performance.now();
do once();
while (!diverged && step < until && performance.now() < begun + slice);
worked += performance.now() - begun;
if (diverged || step >= until) answer();
plan();
}
function plan() {
if (timer === null && awake && !diverged && step < until) timer = setTimeout(work, 0);
}
const answers = {
start(message) {
({ settings, turn } = message);
kernel.reset();
play = game(settings, kernel);
[step, until, rows, worked, diverged] = [0, 0, [], 0, false];
clearTimeout(timer);
timer = null;
answer();
},
change(message) {
settings = message.settings;
},
until(message) {
until = message.step;
},
awake(message) {
awake = message.awake;
},
};
return (message) => {
answers[message.type](message);
plan();
};
}
const IN_WORKER = 30;
const ON_PAGE = 8;
function answerAsWorker(scope) {
const receive = createSession((snapshot) => scope.postMessage(snapshot), IN_WORKER);
scope.onmessage = (event) => receive(event.data);
}
function createRunner(address, onSnapshot) {
let sent = [];
let send = null;
let worker = null;
function stayHere() {
worker?.terminate();
worker = null;
const receive = createSession(onSnapshot, ON_PAGE);
send = receive;
for (const message of sent.splice(0)) receive(message);
}
return {
begin() {
if (send) return;
try {
worker = new Worker(address());
send = (message) => worker.postMessage(message);
worker.onmessage = (event) => {
sent = null;
onSnapshot(event.data);
};
worker.onerror = (event) => {
event.preventDefault();
if (sent) stayHere();
};
sent.forEach(send);
} catch {
stayHere();
}
},
send(message) {
if (worker || !send) sent?.push(message);
send?.(message);
},
stop() {
if (worker) worker.terminate();
else send?.({ type: "until", step: 0 });
},
};
}
function make(tag, attributes = {}, ...children) {
const element = document.createElement(tag);
for (const [name, value] of Object.entries(attributes)) {
if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
else if (value === true) element.setAttribute(name, "");
else if (value !== false && value !== null) element.setAttribute(name, value);
}
element.append(...children);
return element;
}
const thisCopy = Math.random().toString(36).slice(2, 8);
let made = 0;
const freshId = () => `pg-${thisCopy}-${++made}`;
const CHOICES = {
data: {
"8_gaussians": "8 Gaussians",
"25_gaussians": "25 Gaussians",
swiss_roll: "Swiss roll",
two_points: "two points",
drawn: "draw your own",
},
loss: {
wasserstein: "Wasserstein",
non_saturating: "non-saturating",
minimax: "saturating (minimax)",
least_squares: "least squares",
},
constraint: {
none: "none",
clip: "weight clipping",
gp: "gradient penalty",
gp_one_sided: "gradient penalty, one-sided",
gp_zero: "gradient penalty, zero-centred",
r1: "R1: zero-centred, at real samples",
r1_r2: "R1 + R2: at real and generated",
},
scaling: { clip_norm: "fixed threshold", autoclip: "AutoClip: adaptive, by percentile", zclip: "ZClip: adaptive, by z-score" },
optimizer: { adam: "Adam", sgd: "SGD" },
activation: { leaky_relu: "LeakyReLU", relu: "ReLU", tanh: "tanh" },
};
const FORMULAS = {
none: "The critic may be as steep as it likes.",
clip: "After each step every weight is cut to [−c, c].",
gp: "λ E (‖∇ₓf‖ − 1)², between real and generated samples",
gp_one_sided: "λ E max(‖∇ₓf‖ − 1, 0)², between real and generated samples",
gp_zero: "λ E ‖∇ₓf‖², between real and generated samples",
r1: "λ/2 E ‖∇ₓf‖², at real samples",
r1_r2: "λ/2 E ‖∇ₓf‖², at real samples, and the same at generated ones",
};
const RANGES = {
weight: [0.001, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100],
every: [1, 2, 4, 8, 16],
clip: [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1],
threshold: [0, 0.001, 0.01, 0.03, 0.1, 0.3, 1, 3, 10],
percentile: [1, 5, 10, 25, 50, 75, 90, 99],
z: [1, 1.5, 2, 2.5, 3, 4],
criticSteps: [1, 2, 3, 4, 5, 6, 8, 10],
lrCritic: [0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1],
lrGenerator: [0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1],
batch: [16, 32, 64, 128, 256],
seed: Array.from({ length: 20 }, (_, i) => i),
};
const DEFAULTS = {
data: "8_gaussians",
points: [],
loss: "wasserstein",
constraint: "gp",
weight: 1,
every: 1,
clip: 0.1,
scaling: "clip_norm",
threshold: 0,
percentile: 10,
z: 2.5,
criticSteps: 5,
lrCritic: 0.001,
lrGenerator: 0.001,
optimizer: "adam",
activation: "leaky_relu",
batch: 128,
width: 64,
seed: 0,
};
const PRESETS = [
{
name: "a healthy run",
says: "Wasserstein loss with a gradient penalty. The slope settles around 1 between the two clouds, and the modes fill one after another.",
settings: {},
},
{
before: "Break it:",
name: "vanishing gradient",
says: "The saturating loss against a critic that learns fast. The critic is soon sure of everything, the generator's gradient falls by a factor of a million and more, and its samples stay where they are.",
settings: { loss: "minimax", constraint: "none", lrCritic: 0.01, lrGenerator: 0.0001 },
},
{
name: "mode collapse",
says: "One critic step for each step of a generator ten times as fast, and weights clipped to 0.1, so that the critic never gets steep enough to tell modes apart. The generator runs after it with its samples close together, from one place to the next, and does not stop.",
settings: { constraint: "clip", criticSteps: 1, lrGenerator: 0.01, batch: 64 },
},
{
name: "clipping too tight",
says: "Weights clipped to 0.01. The critic is almost flat, its slope is a few thousandths and less, and what is left of its shape is too simple to tell eight modes apart.",
settings: { constraint: "clip", clip: 0.01 },
},
{
name: "λ too small",
says: "The penalty weighs next to nothing. Modes are covered, but within a thousand steps the slope climbs to about a hundred, and the critic's loss estimates no distance any more.",
settings: { weight: 0.001 },
},
{
name: "exploding step",
says: "Plain gradient steps of 0.1 on a penalty of weight 10. Each step is larger than the one before; after a few the loss is no longer a number, and the run stops.",
settings: { optimizer: "sgd", weight: 10, lrCritic: 0.1, lrGenerator: 0.1, criticSteps: 1 },
},
{
before: "Fix it:",
name: "scale the norms",
says: "The exploding step with a threshold of 1 on the norm of the parameters' gradient. It goes on. It does not learn well: scaling keeps a run alive, it does not choose the step for you.",
settings: { optimizer: "sgd", weight: 10, lrCritic: 0.1, lrGenerator: 0.1, criticSteps: 1, threshold: 1 },
},
];
const LIVE = [
"data", "points", "loss", "constraint", "weight", "every", "clip", "scaling", "threshold", "percentile", "z",
"criticSteps", "lrCritic", "lrGenerator",
];
const PACES = [
{ pace: 0, words: "full speed" },
{ pace: 10, words: "10 steps per second" },
{ pace: 2, words: "2 steps per second" },
];
const HEART = Array.from({ length: 48 }, (_, i) => {
const t = (2 * Math.PI * i) / 48;
const y = 13 * Math.cos(t) - 5 * Math.cos(2 * t) - 2 * Math.cos(3 * t) - Math.cos(4 * t);
return [1.6 * Math.sin(t) ** 3, y / 10];
});
const GROUPS = [
["The game", [
{ name: "data", label: "Real samples", help: "What the generator learns to imitate." },
{ name: "loss", label: "Loss", help: "What both networks minimise, by the critic's scores." },
]],
["The critic's slope", [
{ name: "constraint", label: "Constraint", help: "What keeps the critic's slope in bounds." },
{
name: "weight",
label: "Weight λ",
help: "How much the penalty counts beside the loss.",
when: (s) => s.constraint in PENALTIES,
},
{
name: "every",
label: "Penalty at",
help: "Lazy: at the other steps of the critic there is no penalty, and at these it is so many times as heavy.",
words: (value) => ({ 1: "every step", 2: "every 2nd" })[value] ?? `every ${value}th`,
when: (s) => s.constraint in PENALTIES,
},
{
name: "clip",
label: "Clipping bound c",
help: "After each step no weight of the critic is larger.",
when: (s) => s.constraint === "clip",
},
]],
["Parameter gradients", [
{
name: "scaling",
label: "Norm scaling",
help: "To a threshold that is fixed, or that follows all norms so far (AutoClip) or their running mean (ZClip).",
},
{
name: "threshold",
label: "Norm threshold",
help: "A gradient whose norm is larger is scaled down to it, in both networks.",
words: (value) => (value ? String(value) : "off"),
when: (s) => s.scaling === "clip_norm",
},
{
name: "percentile",
label: "Percentile",
help: "Of all norms so far. At 10, the norm that a tenth of them lies below, nine of ten gradients are scaled down.",
when: (s) => s.scaling === "autoclip",
},
{
name: "z",
label: "z-score",
help: "Standard deviations that a norm may lie above its running mean. The first 25 steps only set the mean.",
when: (s) => s.scaling === "zclip",
},
]],
["The steps", [
{
name: "criticSteps",
label: "Critic steps per generator step",
help: "How often the critic is updated before the generator is updated once.",
},
{ name: "lrCritic", label: "Critic's learning rate", help: "How far the critic goes in one step." },
{ name: "lrGenerator", label: "Generator's learning rate", help: "How far the generator goes in one step." },
{ name: "optimizer", label: "Optimiser", help: "SGD steps along the gradient; Adam divides it by its usual size." },
{ name: "activation", label: "Activation", help: "Of the hidden layers of both networks." },
{ name: "batch", label: "Batch", help: "Real and generated samples per step." },
{ name: "seed", label: "Seed", help: "Of the first weights and of every sample drawn after them." },
]],
];
const known = GROUPS.flatMap(([, controls]) => controls);
const CONTROLS = known.map((control) => control.name);
function choice(control, id, onChange) {
const options = Object.entries(CHOICES[control.name]).map(([value, words]) => make("option", { value }, words));
const changed = () => onChange(control.name, input.value);
const input = make("select", { id, "data-name": control.name, onchange: changed }, ...options);
return { label: make("label", { for: id }, control.label), input, show: (value) => (input.value = value) };
}
function slider(control, id, onChange) {
const values = RANGES[control.name];
const words = control.words ?? String;
const output = make("output", { for: id, "aria-live": "off" });
const input = make("input", {
id,
type: "range",
min: 0,
max: values.length - 1,
step: 1,
"data-name": control.name,
oninput() {
show(values[input.value]);
onChange(control.name, values[input.value]);
},
});
function show(value) {
input.value = values.indexOf(value);
output.textContent = words(value);
input.setAttribute("aria-valuetext", words(value));
}
return { label: make("label", { for: id }, control.label, " ", output), input, show };
}
function createControls(onChange, names) {
const shown = [];
const formula = make("p", { class: "pg-formula" });
const rowOf = (control) => {
const [id, helpId] = [freshId(), freshId()];
const { label, input, show } = (CHOICES[control.name] ? choice : slider)(control, id, onChange);
const row = make("div", { class: "pg-row" }, label, input);
if (names) label.title = control.help;
shown.push({ control, row, show });
if (control.name === "constraint") row.append(formula);
row.append(make("p", { class: "pg-help", id: helpId }, control.help));
input.setAttribute("aria-describedby", helpId);
return row;
};
const content = names
? names.map((name) => rowOf(known.find((control) => control.name === name)))
: GROUPS.map(([title, controls]) => make("fieldset", {}, make("legend", {}, title), ...controls.map(rowOf)));
return {
element: make("div", { class: "pg-controls" }, ...content),
show(settings) {
formula.textContent = FORMULAS[settings.constraint];
for (const { control, row, show } of shown) {
show(settings[control.name]);
row.hidden = control.when ? !control.when(settings) : false;
}
},
};
}
const digits = (x) => String(Math.min(99, Math.max(0, Math.round(((x / REACH + 1) / 2) * 99)))).padStart(2, "0");
const coordinate = (text) => REACH * ((2 * Number(text)) / 99 - 1);
const encodePoints = (points) => points.map(([x, y]) => digits(x) + digits(y)).join("");
const decodePoints = (text) =>
(text.match(/\d{4}/g) ?? []).map((four) => [coordinate(four.slice(0, 2)), coordinate(four.slice(2))]);
const written = (name, value) => (name === "points" ? encodePoints(value) : String(value));
function encode(runs) {
const words = new URLSearchParams();
runs.forEach((settings, run) => {
const prefix = run ? "b." : "";
for (const name of Object.keys(DEFAULTS)) {
if (name === "points" && (settings.data !== "drawn" || settings.points === HEART)) continue;
const text = written(name, settings[name]);
if (text !== written(name, DEFAULTS[name])) words.set(prefix + name, text);
}
if (run && ![...words.keys()].some((name) => name.startsWith("b."))) words.set("b.seed", String(settings.seed));
});
return words.toString();
}
function clean(wanted) {
const settings = { ...DEFAULTS };
for (const [name, value] of Object.entries(wanted)) {
if (name === "points") settings.points = typeof value === "string" ? decodePoints(value) : value;
else if (CHOICES[name] && Object.hasOwn(CHOICES[name], value)) settings[name] = value;
else if (RANGES[name] && Number.isFinite(Number(value))) settings[name] = nearest(RANGES[name], Number(value));
}
if (settings.data === "drawn" && !settings.points.length) settings.points = HEART;
return settings;
}
const nearest = (values, wanted) =>
values.reduce((best, value) => (Math.abs(value - wanted) < Math.abs(best - wanted) ? value : best));
function decode(hash) {
const words = [...new URLSearchParams(hash.replace(/^#/, ""))];
const known = (name) => Object.hasOwn(DEFAULTS, name.replace(/^b\./, ""));
if (!words.some(([name]) => known(name))) return null;
const first = words.filter(([name]) => !name.startsWith("b."));
const second = words.filter(([name]) => name.startsWith("b.")).map(([name, value]) => [name.slice(2), value]);
return [first, second].filter((part, run) => !run || part.length).map((part) => clean(Object.fromEntries(part)));
}
const JOINED = [
[], [[3, 0]], [[0, 1]], [[3, 1]], [[1, 2]], [[3, 0], [1, 2]], [[0, 2]], [[3, 2]],
[[2, 3]], [[0, 2]], [[0, 1], [2, 3]], [[1, 2]], [[1, 3]], [[0, 1]], [[0, 3]], [],
];
function contour(values, size, level) {
const segments = [];
for (let y = 0; y + 1 < size; y++) {
for (let x = 0; x + 1 < size; x++) {
const at = y * size + x;
const corners = [values[at], values[at + 1], values[at + size + 1], values[at + size]];
const kind = corners.reduce((sum, value, corner) => sum + (value > level ? 1 << corner : 0), 0);
const between = (p, q) => (level - corners[p]) / (corners[q] - corners[p]);
const crossing = [
() => [x + between(0, 1), y],
() => [x + 1, y + between(1, 2)],
() => [x + between(3, 2), y + 1],
() => [x, y + between(0, 3)],
];
for (const [from, to] of JOINED[kind]) segments.push([...crossing[from](), ...crossing[to]()]);
}
}
return segments;
}
function levels(values, count) {
const [low, high] = range(values);
return Array.from({ length: count }, (_, i) => low + ((i + 1) / (count + 1)) * (high - low));
}
function range(values) {
let [low, high] = [Infinity, -Infinity];
for (const value of values) {
if (value < low) low = value;
if (value > high) high = value;
}
return [low, high];
}
const COLOURS = ["paper", "ink", "real", "generated", "critic", "gradient", "neutral"];
function palette(root) {
const style = getComputedStyle(root);
return Object.fromEntries(COLOURS.map((name) => [name, style.getPropertyValue(`--pg-${name}`).trim()]));
}
function onDarkPaper(element) {
const pen = heat.getContext("2d", { willReadFrequently: true });
pen.clearRect(0, 0, 1, 1);
pen.fillStyle = getComputedStyle(element).color;
pen.fillRect(0, 0, 1, 1);
const [red, green, blue] = pen.getImageData(0, 0, 1, 1).data;
return 0.2126 * red + 0.7152 * green + 0.0722 * blue > 127;
}
function openCanvas(canvas) {
const [width, height] = [canvas.clientWidth, canvas.clientHeight];
if (!width || !height) return null;
const scale = Math.min(window.devicePixelRatio || 1, 2);
if (canvas.width !== Math.round(width * scale)) canvas.width = Math.round(width * scale);
if (canvas.height !== Math.round(height * scale)) canvas.height = Math.round(height * scale);
const pen = canvas.getContext("2d");
pen.setTransform(scale, 0, 0, scale, 0, 0);
pen.clearRect(0, 0, width, height);
return { pen, width, height };
}
const heat = typeof document === "undefined" ? null : document.createElement("canvas");
function paintHeat({ pen, width }, values, colour, shareOf) {
heat.width = heat.height = GRID;
const small = heat.getContext("2d", { willReadFrequently: true });
small.fillStyle = colour;
small.fillRect(0, 0, GRID, GRID);
const image = small.getImageData(0, 0, GRID, GRID);
for (let i = 0; i < values.length; i++) image.data[4 * i + 3] = 255 * Math.min(Math.max(shareOf(values[i]), 0), 1);
small.putImageData(image, 0, 0);
const cell = width / (GRID - 1);
pen.imageSmoothingEnabled = true;
pen.imageSmoothingQuality = "high";
pen.drawImage(heat, -cell / 2, -cell / 2, width + cell, width + cell);
}
function paintLine({ pen, width }, values, level, colour, thickness) {
const cell = width / (GRID - 1);
pen.beginPath();
for (const [x1, y1, x2, y2] of contour(values, GRID, level)) {
pen.moveTo(x1 * cell, y1 * cell);
pen.lineTo(x2 * cell, y2 * cell);
}
pen.lineWidth = thickness;
pen.lineCap = "round";
pen.strokeStyle = colour;
pen.stroke();
}
const onCanvas = (width, x, y) => [((x / REACH + 1) / 2) * width, ((1 - y / REACH) / 2) * width];
const fromCanvas = (width, left, top) => [REACH * ((2 * left) / width - 1), REACH * (1 - (2 * top) / width)];
function paintSamples({ pen, width }, samples, colour, filled) {
pen.fillStyle = pen.strokeStyle = colour;
pen.lineWidth = 1;
const radius = Math.max(1.4, width / 210);
for (let i = 0; i < samples.length; i += 2) {
const [x, y] = onCanvas(width, samples[i], samples[i + 1]);
pen.beginPath();
pen.arc(x, y, filled ? radius : radius * 1.5, 0, 7);
if (filled) pen.fill();
else pen.stroke();
}
}
function paintGame(canvas, { values, real, generated, arrows }, colours, withArrows) {
const sheet = openCanvas(canvas);
if (!sheet) return;
const [low, high] = range(values);
paintHeat(sheet, values, colours.critic, (value) => (0.5 * (value - low)) / (high - low || 1));
sheet.pen.globalAlpha = 0.55;
for (const level of levels(values, 9)) paintLine(sheet, values, level, colours.critic, 1);
sheet.pen.globalAlpha = 0.75;
paintSamples(sheet, real, colours.real, false);
sheet.pen.globalAlpha = 1;
if (withArrows) paintArrows(sheet, generated, arrows, colours);
const shown = withArrows ? generated.subarray(0, arrows.length) : generated;
sheet.pen.globalAlpha = withArrows ? 1 : 0.85;
paintSamples(sheet, shown, colours.generated, true);
sheet.pen.globalAlpha = 1;
}
const decades = (norm) => Math.log10(Math.min(Math.max(norm, 1e-4), 100));
function paintArrows({ pen, width }, samples, arrows, colours) {
pen.lineCap = "round";
for (const [colour, thickness] of [[colours.paper, 3], [colours.ink, 1.2]]) {
pen.strokeStyle = colour;
pen.lineWidth = thickness;
pen.beginPath();
for (let i = 0; i < arrows.length; i += 2) {
const norm = Math.hypot(arrows[i], arrows[i + 1]);
const length = ((decades(norm) + 4) / 6) * 0.11 * width;
if (!(length > 1)) continue;
const [x, y] = onCanvas(width, samples[i], samples[i + 1]);
const [right, down] = [arrows[i] / norm, -arrows[i + 1] / norm];
const [endX, endY] = [x + length * right, y + length * down];
pen.moveTo(x, y);
pen.lineTo(endX, endY);
for (const side of [-1, 1]) {
pen.moveTo(endX, endY);
pen.lineTo(endX - 4 * right + side * 3 * down, endY - 4 * down - side * 3 * right);
}
}
pen.stroke();
}
}
const opacity = (part) => 0.85 * Math.sqrt(part);
function paintNorms(canvas, { norms, generated }, colours) {
const sheet = openCanvas(canvas);
if (!sheet) return;
paintHeat(sheet, norms, colours.neutral, (norm) => opacity(Math.max(-decades(norm), 0) / 4));
paintHeat(sheet, norms, colours.gradient, (norm) => opacity(Math.max(decades(norm), 0) / 2));
paintLine(sheet, norms, 1, colours.paper, 4.5);
paintLine(sheet, norms, 1, colours.ink, 2);
sheet.pen.globalAlpha = 0.35;
paintSamples(sheet, generated, colours.generated, true);
sheet.pen.globalAlpha = 1;
}
function paintPencil(canvas, at, colours) {
const pen = canvas.getContext("2d");
const [x, y] = onCanvas(canvas.clientWidth, ...at);
pen.strokeStyle = colours.ink;
pen.lineWidth = 2;
pen.beginPath();
for (const [dx, dy] of [[9, 0], [0, 9]]) {
pen.moveTo(x - dx, y - dy);
pen.lineTo(x + dx, y + dy);
}
pen.stroke();
}
const LEFT = 44;
const BOTTOM = 20;
const TOP = 6;
const short = (number) => {
if (number === 0) return "0";
const size = Math.abs(number);
const plain = size < 1000 && size >= 0.01;
const words = plain ? String(Number(number.toPrecision(2))) : number.toExponential(0).replace("e+", "e");
return words.replaceAll("-", "−");
};
function paintCurves(canvas, steps, lines, { log, mark }, colours) {
const sheet = openCanvas(canvas);
if (!sheet) return;
const { pen, width, height } = sheet;
const scaled = (value) => (log ? Math.log10(Math.max(value, 1e-12)) : value);
const all = lines.flatMap((line) => line.values).map(scaled).filter(Number.isFinite);
let [low, high] = all.length ? range(all) : [0, 1];
if (!log) [low, high] = [Math.min(low, 0), Math.max(high, 0)];
if (mark) [low, high] = [Math.min(low, scaled(mark)), Math.max(high, scaled(mark))];
if (log) [low, high] = [Math.floor(low), Math.max(Math.ceil(high), Math.floor(low) + 1)];
const margin = log ? 0 : 0.05 * (high - low || 1);
[low, high] = [low - margin, high + margin];
const last = Math.max(steps.at(-1) ?? 1, 2);
const x = (step) => LEFT + (step / last) * (width - LEFT - 4);
const y = (value) => TOP + ((high - scaled(value)) / (high - low)) * (height - TOP - BOTTOM);
pen.font = "11px system-ui, sans-serif";
pen.fillStyle = colours.ink;
pen.strokeStyle = colours.neutral;
pen.lineWidth = 1;
const spacing = log ? Math.max(1, Math.ceil((high - low) / 4)) : niceStep((high - low) / 4);
pen.textAlign = "right";
pen.textBaseline = "middle";
for (let tick = Math.ceil(low / spacing) * spacing; tick <= high + 1e-9; tick += spacing) {
const value = log ? 10 ** tick : Math.abs(tick) < spacing / 1e6 ? 0 : tick;
pen.globalAlpha = value === 0 || tick === low ? 0.8 : 0.25;
pen.beginPath();
pen.moveTo(LEFT, y(value));
pen.lineTo(width - 4, y(value));
pen.stroke();
pen.globalAlpha = 0.85;
pen.fillText(short(value), LEFT - 5, y(value));
}
pen.textBaseline = "alphabetic";
pen.fillText(`step ${steps.at(-1) ?? 0}`, width - 4, height - 5);
pen.textAlign = "left";
pen.fillText("0", LEFT, height - 5);
pen.globalAlpha = 1;
if (mark) {
pen.strokeStyle = colours.ink;
pen.setLineDash([2, 4]);
pen.beginPath();
pen.moveTo(LEFT, y(mark));
pen.lineTo(width - 4, y(mark));
pen.stroke();
}
for (const { values, colour, dash, faint } of lines) {
pen.globalAlpha = faint ? 0.5 : 1;
pen.strokeStyle = colour;
pen.lineWidth = 1.7;
pen.setLineDash(dash);
pen.beginPath();
values.forEach((value, i) => pen.lineTo(x(steps[i]), y(value)));
pen.stroke();
}
pen.globalAlpha = 1;
pen.setLineDash([]);
}
function niceStep(step) {
const power = 10 ** Math.floor(Math.log10(step));
return power * [1, 2, 5, 10].find((factor) => factor * power >= step);
}
const ROUND = { least: 90, most: 500 };
function createRounds(onRound) {
let runs = [];
let turn = 0;
let target = 0;
let stride = 1;
let waiting = false;
let playing = false;
let owed = 0;
let pace = 0;
let timer = null;
let sent = 0;
let clock = null;
function start(wanted = runs) {
runs = wanted;
turn++;
[target, stride, owed, waiting] = [0, 1, 0, true];
clock = { since: performance.now(), steps: 0, rate: 0 };
clearTimeout(timer);
for (const run of runs) [run.answer, run.diverged] = [null, false];
for (const run of runs) run.runner.send({ type: "start", settings: run.settings, turn });
}
function receive(run, snapshot) {
if (snapshot.turn !== turn) return;
[run.answer, run.diverged] = [snapshot, snapshot.diverged];
if (runs.some((other) => !other.answer && !other.diverged)) return;
waiting = false;
if (target) measure(Math.max(...runs.map((other) => other.answer?.worked ?? 0)));
for (const other of runs) {
if (other.answer) other.view.record(other.answer);
other.answer = null;
}
onRound();
next();
}
function measure(worked) {
const now = performance.now();
clock.steps += stride;
const time = now - clock.since;
if (time > 500) clock = { since: now, steps: 0, rate: (1000 * clock.steps) / time };
const wanted = Math.min(Math.max(ROUND.least, 2 * (now - sent - worked)), ROUND.most);
stride = Math.max(1, Math.min(Math.round((stride * wanted) / worked), 2 * stride));
}
function next() {
clearTimeout(timer);
if (playing && pace) timer = setTimeout(go, 1000 / pace);
else go();
}
function go() {
if (waiting || runs.every((run) => run.diverged) || !(playing || owed)) return;
if (!playing || pace) stride = playing ? 1 : owed;
owed = 0;
target += stride;
waiting = true;
sent = performance.now();
for (const run of runs) if (!run.diverged) run.runner.send({ type: "until", step: target });
}
return {
start,
receive,
play(on) {
if (on && clock && !playing) clock = { ...clock, since: performance.now(), steps: 0 };
playing = on;
next();
},
once() {
playing = false;
owed++;
next();
},
pace(wanted) {
pace = wanted;
next();
},
rate: () => clock?.rate ?? 0,
};
}
const STYLE = `
.pg {
--pg-paper: var(--pst-color-background, #fff);
--pg-ink: var(--pst-color-text-base, #1b1f25);
--pg-muted: var(--pst-color-text-muted, #4d5560);
--pg-real: var(--gp-real, #0072b2);
--pg-generated: var(--gp-generated, #c05400);
--pg-critic: var(--gp-critic, #00785a);
--pg-gradient: var(--gp-gradient, #a8487f);
--pg-neutral: var(--gp-neutral, #6b737d);
--pg-line: var(--gp-line, #c9ced6);
--pg-tint: var(--gp-tint, rgb(0 114 178 / 7%));
background: var(--pg-paper);
color: var(--pg-ink);
container-type: inline-size;
font-size: 0.92rem;
line-height: 1.4;
margin: 1.2rem 0;
}
.pg-dark {
--pg-paper: var(--pst-color-background, #14181e);
--pg-ink: var(--pst-color-text-base, #e4e7eb);
--pg-muted: var(--pst-color-text-muted, #a9b1bb);
--pg-real: var(--gp-real, #56b4e9);
--pg-generated: var(--gp-generated, #f0883e);
--pg-critic: var(--gp-critic, #2fbf95);
--pg-gradient: var(--gp-gradient, #e29bc2);
--pg-neutral: var(--gp-neutral, #9aa3ad);
--pg-line: var(--gp-line, #48505b);
--pg-tint: var(--gp-tint, rgb(86 180 233 / 9%));
}
.pg *, .pg *::before { box-sizing: border-box; }
.pg [hidden] { display: none !important; }
.pg p { line-height: 1.4; margin: 0; max-width: none; }
.pg-hidden { clip-path: inset(50%); height: 1px; overflow: hidden; position: absolute; white-space: nowrap; width: 1px; }
.pg button, .pg select {
background: var(--pg-paper); border: 1px solid var(--pg-neutral); border-radius: 6px; color: var(--pg-ink);
font: inherit; min-height: 2.2rem; padding: 0.2rem 0.75rem;
}
.pg button { cursor: pointer; }
.pg select { padding: 0.2rem 0.4rem; }
.pg button:hover { background: var(--pg-tint); }
.pg button[aria-pressed="true"] { background: var(--pg-ink); border-color: var(--pg-ink); color: var(--pg-paper); }
.pg :is(button, select, input, summary, canvas):focus-visible { outline: 3px solid var(--pg-real); outline-offset: 2px; }
.pg button.pg-main { background: var(--pg-real); border-color: var(--pg-real); color: var(--pg-paper); font-weight: 600; min-width: 5.2rem; }
.pg button.pg-main:hover { filter: brightness(1.1); }
/* What starts and stops two runs stays in sight while their pictures scroll by. */
.pg:not(.pg-small) > .pg-bar { background: var(--pg-paper); padding: 0.3rem 0; position: sticky; top: var(--pg-top, 0); z-index: 2; }
.pg-bar, .pg-presets { align-items: center; display: flex; flex-wrap: wrap; gap: 0.45rem; }
.pg .pg-bar > :is(button, select) { padding-inline: 0.6rem; }
.pg-bar > select { width: 9.4rem; }
.pg-presets { gap: 0.35rem; margin-top: 0.3rem; }
.pg .pg-preset { border-radius: 99px; font-size: 0.84em; min-height: 1.8rem; padding: 0 0.5rem; }
.pg-together { align-items: center; display: inline-flex; gap: 0.35rem; }
.pg-speed { color: var(--pg-muted); font-variant-numeric: tabular-nums; margin-left: auto; }
.pg p.pg-said { border-left: 4px solid var(--pg-real); margin: 0.7rem 0 0; overflow-wrap: anywhere; padding: 0.1rem 0 0.1rem 0.7rem; }
.pg p.pg-said:empty { display: none; }
.pg-body { display: grid; gap: 0.9rem 1.4rem; grid-template-columns: minmax(0, 1fr); margin-top: 0.9rem; }
.pg-views { display: grid; gap: 1.4rem; grid-template-columns: minmax(0, 1fr); }
.pg-pictures { display: grid; gap: 1rem 1.2rem; grid-template-columns: minmax(0, 1fr); }
.pg p.pg-status { font-variant-numeric: tabular-nums; font-weight: 600; margin-bottom: 0.5rem; min-height: 1.4em; }
.pg-name { background: var(--pg-ink); border-radius: 4px; color: var(--pg-paper); display: none; margin-right: 0.6rem; padding: 0 0.5rem; }
.pg-two .pg-name { display: inline-block; }
.pg p.pg-diverged { color: var(--pg-generated); }
.pg figure.pg-picture { margin: 0; min-width: 0; padding: 0; text-align: left; width: auto; }
.pg figure.pg-picture figcaption {
color: var(--pg-ink); font-size: 0.95em; font-weight: 600; margin: 0 0 0.35rem; max-width: none; padding: 0; text-align: left;
}
.pg canvas { display: block; width: 100%; }
.pg-square { aspect-ratio: 1; border: 1px solid var(--pg-line); border-radius: 6px; }
.pg-wide { height: 11rem; }
.pg-pad { cursor: crosshair; touch-action: none; }
.pg p.pg-drawing { color: var(--pg-muted); margin-top: 0.4rem; }
.pg p.pg-keys { color: var(--pg-muted); display: flex; flex-wrap: wrap; font-size: 0.9em; gap: 0.1rem 1rem; margin-top: 0.3rem; }
.pg-key { align-items: center; display: inline-flex; gap: 0.4rem; }
.pg-key::before { background: var(--pg-neutral); content: ""; height: 3px; width: 1.1rem; }
.pg-key-critic::before { background: var(--pg-critic); }
.pg-key-generated::before { background: var(--pg-generated); }
.pg-key-gradient::before { background: var(--pg-gradient); }
.pg-key-one::before { background: var(--pg-ink); }
.pg-key-after::before { background: repeating-linear-gradient(90deg, var(--pg-neutral) 0 5px, transparent 5px 9px); }
.pg-game .pg-key-generated::before { border-radius: 50%; height: 8px; width: 8px; }
.pg-key-real::before { background: none; border: 2px solid var(--pg-real); border-radius: 50%; height: 10px; width: 10px; }
.pg-key-arrow::before { background: var(--pg-ink); clip-path: polygon(0 35%, 60% 35%, 60% 0, 100% 50%, 60% 100%, 60% 65%, 0 65%); height: 9px; }
.pg-key-value::before {
background: linear-gradient(90deg, transparent, var(--pg-critic)); border: 1px solid var(--pg-line); height: 10px; width: 2.6rem;
}
/* Opacities of the map in quarters of a bar, from its strong end to the 1. */
.pg-scale { align-items: center; display: inline-flex; font-variant-numeric: tabular-nums; gap: 0.3rem; max-width: 100%; }
.pg-scale i {
background: linear-gradient(var(--towards), color-mix(in srgb, var(--strong) 85%, transparent),
color-mix(in srgb, var(--strong) 74%, transparent), color-mix(in srgb, var(--strong) 60%, transparent),
color-mix(in srgb, var(--strong) 42%, transparent), transparent);
border: 1px solid var(--pg-line); height: 10px; min-width: 0; width: 3.2rem;
}
.pg-below { --strong: var(--pg-neutral); --towards: 90deg; }
.pg-above { --strong: var(--pg-gradient); --towards: 270deg; }
.pg-scale i.pg-above { width: 1.6rem; }
.pg-panel > summary { cursor: pointer; font-weight: 600; padding: 0.3rem 0; }
.pg fieldset { border: 0; border-top: 1px solid var(--pg-line); margin: 0; min-width: 0; padding: 0.5rem 0 0.7rem; }
.pg legend { color: var(--pg-muted); float: none; font-size: 0.88em; font-weight: 600; margin: 0; padding: 0 0.5rem 0 0; width: auto; }
.pg-row { margin-top: 0.35rem; }
.pg-row label { display: flex; gap: 0.5rem; justify-content: space-between; margin: 0; }
.pg-row output { color: var(--pg-ink); display: inline; font-variant-numeric: tabular-nums; font-weight: 600; padding: 0; }
.pg-row select, .pg-row input { width: 100%; }
.pg-row input { accent-color: var(--pg-real); display: block; height: 1.5rem; margin: 0; }
.pg p.pg-formula { color: var(--pg-muted); font-size: 0.92em; margin-top: 0.3rem; }
.pg p.pg-help { color: var(--pg-muted); font-size: 0.92em; }
.pg-turns label { font-weight: 600; margin: 0 1.2rem 0 0.35rem; }
.pg-turns input { accent-color: var(--pg-real); }
/* The small form, between the paragraphs of a chapter: what changes while it runs must not move the text below it. */
.pg-small { border: 1px solid var(--pg-line); border-radius: 8px; padding: 0.8rem 0.9rem; }
.pg-small .pg-controls { display: grid; gap: 0.2rem 1.6rem; grid-template-columns: repeat(auto-fit, minmax(min(15rem, 100%), 1fr)); margin: 0.6rem 0; }
.pg-squares .pg-pictures { gap: 0.6rem; grid-template-columns: repeat(2, minmax(0, 1fr)); }
.pg-small :is(.pg-game, .pg-slope) .pg-keys { align-content: flex-start; min-height: 2.9em; }
.pg-small :is(.pg-still, .pg-help) { display: none; }
.pg-small p.pg-open { margin-top: 0.7rem; }
/* A control that says nothing under these settings keeps its place. */
.pg-small .pg-row[hidden] { display: block !important; visibility: hidden; }
@container (min-width: 34rem) {
.pg-small .pg-wide { aspect-ratio: 1; height: auto; }
.pg-pictures { grid-template-columns: repeat(2, minmax(0, 1fr)); }
.pg-two .pg-views { grid-template-columns: repeat(2, minmax(0, 1fr)); }
.pg-two .pg-pictures { grid-template-columns: minmax(0, 1fr); }
.pg-controls { display: grid; gap: 0 1.6rem; grid-template-columns: repeat(2, minmax(0, 1fr)); }
}
@container (min-width: 54rem) {
.pg-body { grid-template-columns: minmax(0, 1.65fr) minmax(0, 1fr); }
.pg-panel { grid-column: 2; }
.pg-views { grid-column: 1; grid-row: 1; }
.pg-wide { height: 8rem; }
.pg-panel .pg-controls { font-size: 0.95em; gap: 0 1.1rem; grid-template-rows: auto auto 1fr; }
.pg-panel select { min-height: 1.9rem; }
.pg-panel fieldset:last-child { grid-column: 2; grid-row: 1 / span 3; }
/* A strip below all controls: the formula, or what the control does that is pointed at or has the focus. */
.pg-panel .pg-controls { padding-bottom: 3.4em; position: relative; }
.pg-panel :is(p.pg-formula, p.pg-help) { background: var(--pg-paper); bottom: 0; left: 0; min-height: 2.9em; position: absolute; right: 0; }
.pg-panel p.pg-help { display: none; z-index: 1; }
.pg-panel .pg-row:is(:hover, :focus-within) .pg-help { display: block; }
.pg-panel .pg-row:hover .pg-help { z-index: 2; }
}
@container (max-width: 34rem) {
.pg-small .pg-bar button { min-width: 0; padding: 0.2rem 0.6rem; }
.pg-squares .pg-keys { font-size: 0.82em; }
.pg-squares :is(.pg-game, .pg-slope) .pg-keys { min-height: 5.9em; }
.pg-small:not(.pg-squares) .pg-square { margin: 0 auto; width: 13rem; }
.pg-small .pg-wide { height: 9rem; }
}
@media print {
.pg-bar, .pg-presets, .pg-panel, .pg-small .pg-controls { display: none !important; }
.pg-small .pg-still { display: block; }
.pg-small:not([data-step]) .pg-views { display: none; }
}
`;
const MOST_ROWS = 800;
const DASHED = [5, 4];
const brief = (number) => Number(number.toPrecision(2)).toString().replace("-", "−");
function key(...entries) {
const items = entries.map(([kind, words]) => make("span", { class: `pg-key pg-key-${kind}`, "data-key": words }, words));
return make("p", { class: "pg-keys" }, ...items);
}
function slopeKey() {
const scale = make("span", { class: "pg-scale" });
scale.append("0.0001", make("i", { class: "pg-below" }), "1", make("i", { class: "pg-above" }), "100");
const [line] = key(["one", "where it is 1"]).children;
return make("p", { class: "pg-keys" }, scale, line, make("span", { class: "pg-key-slope" }));
}
function picture(title, canvas, ...below) {
return make("figure", { class: "pg-picture" }, make("figcaption", {}, title), canvas, ...below);
}
const PICTURES = ["game", "slope", "losses", "gradients"];
function createView(name, shown, onDraw) {
const canvas = (shape) => make("canvas", { class: `pg-${shape}`, role: "img", "aria-label": `${name}: nothing drawn yet` });
const [playing, norms, losses, gradients] = [canvas("square"), canvas("square"), canvas("wide"), canvas("wide")];
const status = make("span");
const clear = make("button", { type: "button", onclick: () => draw([]) }, "Clear the drawing");
const drawing = make(
"p",
{ class: "pg-drawing", hidden: true },
"Draw on the picture. By keyboard: arrow keys move the cross, space puts a point. ",
clear,
);
const pictures = {
game: picture(
"Samples on the critic’s value f",
playing,
key(["real", "real"], ["generated", "generated"], ["arrow", "its pull"], ["value", "f"]),
drawing,
),
slope: picture("The critic’s slope ‖∇ₓf‖", norms, slopeKey()),
losses: picture("Losses", losses, key(["critic", "critic"], ["generated", "generator"], ["gradient", "penalty"])),
gradients: picture(
"Norms of parameter gradients",
gradients,
key(["critic", "critic"], ["generated", "generator"], ["after", "scaled"]),
),
};
for (const [which, figure] of Object.entries(pictures)) figure.classList.add(`pg-${which}`);
const element = make(
"section",
{ class: "pg-view", "aria-label": name },
make("p", { class: "pg-status" }, make("span", { class: "pg-name" }, name), status),
make("div", { class: "pg-pictures" }, ...shown.map((which) => pictures[which])),
);
let rows = [];
let latest = null;
let settings = null;
let points = [];
let pencil = [0, 0];
let stride = 1;
function record(snapshot) {
if (!snapshot.step) [rows, stride] = [[], 1];
for (const row of snapshot.rows) if (row[0] % stride === 0 || row[0] === 1) rows.push(row);
while (rows.length > MOST_ROWS) {
stride *= 2;
rows = rows.filter(([step]) => step % stride === 0 || step === 1);
}
const whole = [snapshot.values, snapshot.norms].every((field) => field.every(Number.isFinite));
const { values, norms, generated, arrows, modes } = whole || !latest ? snapshot : latest;
latest = { ...snapshot, values, norms, generated, arrows, modes, whole };
}
function sentence() {
const { step, modes, distance, diverged, whole } = latest;
const parts = [`step ${step}`];
if (whole && modes && CENTERS[settings.data]) parts.push(`${modes.covered} of ${modes.of} modes covered`);
if (whole && distance !== null) parts.push(`distance W₁ ${distance.toFixed(2)}`);
if (diverged) parts.push("stopped: the loss or its gradient is no longer a number");
if (!whole) parts.push("the upper pictures are from before");
return parts.join(" · ");
}
function paint(colours, withArrows) {
if (!latest) return;
const words = (values) => `from ${range(values).map(brief).join(" to ")}`;
pictures.game.querySelector(".pg-key-value").textContent = `f ${words(latest.values)}`;
pictures.slope.querySelector(".pg-key-slope").textContent = `here ${words(latest.norms)}`;
pictures.game.querySelector(".pg-key-arrow").hidden = !withArrows;
status.textContent = sentence();
status.parentElement.classList.toggle("pg-diverged", latest.diverged);
paintGame(playing, latest, colours, withArrows);
if (!drawing.hidden) paintPencil(playing, pencil, colours);
paintNorms(norms, latest, colours);
const column = (at) => rows.map((row) => row[at]);
const steps = column(0);
const line = (at, colour, more = {}) => ({ values: column(at), colour: colours[colour], dash: [], ...more });
const penalised = settings.constraint in PENALTIES;
pictures.losses.querySelector('[data-key="penalty"]').hidden = !penalised;
pictures.gradients.querySelector(".pg-key-after").hidden = !scales(settings);
paintCurves(
losses,
steps,
[line(1, "critic"), line(3, "generated"), ...(penalised ? [line(2, "gradient")] : [])],
{ log: false },
colours,
);
const faint = scales(settings);
const scaled = faint ? [line(5, "critic", { dash: DASHED }), line(7, "generated", { dash: DASHED })] : [];
paintCurves(
gradients,
steps,
[line(4, "critic", { faint }), line(6, "generated", { faint }), ...scaled],
{ log: true, mark: settings.scaling === "clip_norm" && settings.threshold },
colours,
);
describe(playing, `${name}: real and generated samples over the critic's value, ${sentence()}`);
describe(norms, `${name}: map of the norm of the critic's input gradient, ${words(latest.norms)}, ${sentence()}`);
const last = rows.at(-1);
const numbers = last ? last.slice(1).map(brief) : [];
describe(losses, `${name}: losses over ${latest.step} steps. Critic ${numbers[0]}, generator ${numbers[2]}.`);
describe(gradients, `${name}: gradient norms over ${latest.step} steps. Critic ${numbers[3]}, generator ${numbers[5]}.`);
}
const before = () => (points === HEART ? [] : points);
const describe = (target, words) => target.setAttribute("aria-label", words);
function draw(more) {
points = more;
onDraw(points);
}
function pointerAt(event) {
const box = playing.getBoundingClientRect();
return fromCanvas(box.width, event.clientX - box.left, event.clientY - box.top);
}
const near = (p, q) => Math.hypot(p[0] - q[0], p[1] - q[1]) < 0.06;
playing.addEventListener("pointerdown", (event) => {
if (drawing.hidden) return;
playing.setPointerCapture(event.pointerId);
draw([...before(), pointerAt(event)]);
});
playing.addEventListener("pointermove", (event) => {
if (drawing.hidden || !event.buttons) return;
const at = pointerAt(event);
if (!points.some((point) => near(point, at))) draw([...points, at]);
});
playing.addEventListener("keydown", (event) => {
const moves = { ArrowLeft: [-0.1, 0], ArrowRight: [0.1, 0], ArrowUp: [0, 0.1], ArrowDown: [0, -0.1] };
const move = moves[event.key];
if (drawing.hidden || !(move || event.key === " ")) return;
event.preventDefault();
if (move) pencil = [pencil[0] + move[0], pencil[1] + move[1]];
draw(move ? points : [...before(), pencil]);
});
return {
element,
record,
paint,
use(next) {
settings = next;
points = next.points;
drawing.hidden = next.data !== "drawn";
playing.classList.toggle("pg-pad", !drawing.hidden);
playing.tabIndex = drawing.hidden ? -1 : 0;
playing.setAttribute("role", drawing.hidden ? "img" : "application");
},
latest: () => latest,
};
}
const LETTERS = ["A", "B"];
const HELP = {
once: "One step of the generator, after as many of the critic as are set.",
restart: "From step 0, with the same seed.",
compare: "A second run beside this one; both are always shown at the same step.",
arrows: "Where the generator's loss sends its samples: minus its gradient at each of 150.",
share: "The address of this page with these settings.",
};
function mount(root, { settings = {}, linked = false, small = null, address }) {
adoptStyle();
const quiet = matchMedia("(prefers-reduced-motion: reduce)").matches;
let playing = !quiet;
let arrows = false;
let runs = [];
let turned = 0;
let due = false;
const button = (words, onclick, more = {}) => make("button", { type: "button", onclick, ...more }, words);
const play = button("", () => setPlaying(!playing), { class: "pg-main", "data-do": "play" });
const once = button("One step", stepOnce, { "data-do": "step", title: HELP.once });
const restart = button("Start again", restartAll, { "data-do": "restart", title: HELP.restart });
const paceId = freshId();
const paces = make("select", { id: paceId, onchange: () => rounds.pace(Number(paces.value)) });
paces.append(...PACES.map(({ pace, words }) => make("option", { value: pace }, words)));
const toggle = { "aria-pressed": "false" };
const compare = button("Compare two", toggleCompare, { ...toggle, "data-do": "compare", title: HELP.compare });
const arrow = button("Arrows", toggleArrows, { ...toggle, "data-do": "arrows", title: HELP.arrows });
const share = button("Copy link", copyLink, { "data-do": "share", title: HELP.share });
const speed = make("span", { class: "pg-speed" });
const said = make("p", { class: "pg-said", role: "status" });
const presets = PRESETS.map((preset) =>
button(preset.name, () => usePreset(preset), {
class: "pg-preset",
"data-preset": preset.name,
"aria-pressed": "false",
}),
);
const withWord = (chip, i) => make("span", { class: "pg-together" }, PRESETS[i].before ?? "", chip);
const controls = createControls(changeSetting, small?.controls);
const turnsTitle = make("legend", {}, "These settings are those of");
const turns = make("fieldset", { class: "pg-turns", hidden: true }, turnsTitle);
const radios = LETTERS.map((letter, run) => {
const id = freshId();
const radio = make("input", { type: "radio", id, name: `${paceId}-run`, onchange: () => turnTo(run) });
turns.append(radio, make("label", { for: id }, letter));
return radio;
});
const views = make("div", { class: "pg-views" });
const panel = make("details", { class: "pg-panel" }, make("summary", {}, "Settings"), turns, controls.element);
panel.open = root.clientWidth >= 54 * parseFloat(getComputedStyle(document.documentElement).fontSize);
const paceLabel = make("label", { for: paceId, class: "pg-hidden" }, "Speed");
const ready = { class: "pg-presets", role: "group", "aria-label": "Ready-made settings" };
const whole = root.querySelector(".pg-whole");
if (small) {
root.prepend(make("div", { class: "pg-bar" }, play, once, restart), controls.element, views);
root.classList.add("pg-small");
root.classList.toggle("pg-squares", small.show.every((which) => ["game", "slope"].includes(which)));
} else {
root.replaceChildren(
make("div", { class: "pg-bar" }, play, once, restart, paceLabel, paces, compare, arrow, share, speed),
make("div", ready, ...presets.map(withWord)),
said,
make("div", { class: "pg-body" }, panel, views),
);
}
root.classList.add("pg");
function createRun(wanted, index) {
const run = { settings: wanted };
run.view = createView(small ? "This run" : `Run ${LETTERS[index]}`, small?.show ?? PICTURES, (points) => {
changeRun(run, { points });
schedule();
});
run.view.use(wanted);
run.runner = createRunner(address, (snapshot) => rounds.receive(run, snapshot));
return run;
}
const rounds = createRounds(() => {
root.dataset.step = Math.max(...runs.map((run) => run.view.latest().step));
if (playing && runs.every((run) => run.diverged)) setPlaying(false);
schedule();
});
function setRuns(wanted) {
runs.forEach((run) => run.runner.stop());
runs = wanted.map(createRun);
views.replaceChildren(...runs.map((run) => run.view.element));
root.classList.toggle("pg-two", runs.length === 2);
compare.setAttribute("aria-pressed", String(runs.length === 2));
turns.hidden = runs.length === 1;
turnTo(runs.length - 1);
rounds.start(runs);
awake();
remember();
}
function follow() {
const wanted = decode(location.hash);
if (!wanted) return;
setRuns(wanted);
setPlaying(true);
say("");
root.scrollIntoView();
}
function toggleCompare() {
const [first] = runs.map((run) => run.settings);
setRuns(runs.length === 1 ? [first, first] : [first]);
}
function turnTo(run) {
turned = run;
radios[run].checked = true;
controls.show(runs[run].settings);
}
function changeSetting(name, value) {
const change = { [name]: value };
if (value === "drawn" && !runs[turned].settings.points.length) change.points = HEART;
changeRun(runs[turned], change);
presets.forEach((preset) => preset.setAttribute("aria-pressed", "false"));
controls.show(runs[turned].settings);
say("");
}
function changeRun(run, change) {
run.settings = { ...run.settings, ...change };
run.view.use(run.settings);
const live = Object.keys(change).every((name) => LIVE.includes(name));
if (live) run.runner.send({ type: "change", settings: run.settings });
else rounds.start();
schedule();
remember();
}
function usePreset(preset) {
const { points } = runs[turned].settings;
runs[turned].settings = clean({ points, ...preset.settings });
controls.show(runs[turned].settings);
presets.forEach((other) => other.setAttribute("aria-pressed", String(other.dataset.preset === preset.name)));
runs[turned].view.use(runs[turned].settings);
rounds.start();
setPlaying(true);
say(preset.says);
remember();
}
function setPlaying(on) {
playing = on;
play.textContent = on ? "Pause" : "Play";
if (on && runs.every((run) => run.diverged)) rounds.start();
rounds.play(on);
}
function stepOnce() {
setPlaying(false);
rounds.once();
}
function restartAll() {
const ended = runs.some((run) => run.diverged);
rounds.start();
if (ended) setPlaying(true);
}
function toggleArrows() {
arrows = !arrows;
arrow.setAttribute("aria-pressed", String(arrows));
schedule();
}
function say(words) {
said.textContent = words;
}
function link(page = location.href) {
const words = encode(runs.map((run) => run.settings));
return page.split("#")[0] + (words && `#${words}`);
}
function remember() {
if (linked && runs.length) history.replaceState(history.state, "", link());
if (small) whole.setAttribute("href", link(whole.getAttribute("href")));
}
async function copyLink() {
try {
await navigator.clipboard.writeText(link());
say("The link to these settings is copied.");
} catch {
say(`The link to these settings: ${link()}`);
}
}
let colours = null;
function schedule() {
if (due) return;
due = true;
requestAnimationFrame(() => {
due = false;
for (const run of runs) run.view.paint(colours, arrows);
const rate = rounds.rate();
speed.textContent = playing && rate ? `${rate < 10 ? rate.toFixed(1) : Math.round(rate)} steps per second` : "";
speed.title = runs[0].view.latest()?.kernel ?? "";
});
}
function repaint() {
root.classList.toggle("pg-dark", onDarkPaper(root.parentElement));
colours = palette(root);
schedule();
}
const theme = new MutationObserver(repaint);
for (const element of [document.documentElement, document.body]) theme.observe(element, { attributes: true });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);
new ResizeObserver(schedule).observe(views);
let seen = false;
function awake() {
for (const { runner } of runs) {
if (seen) runner.begin();
runner.send({ type: "awake", awake: seen && !document.hidden });
}
}
new IntersectionObserver((entries) => {
seen = entries.at(-1).isIntersecting;
awake();
}).observe(root);
document.addEventListener("visibilitychange", awake);
if (linked) window.addEventListener("hashchange", follow);
repaint();
share.hidden = !linked;
setRuns((linked && decode(location.hash)) || [clean(settings)]);
setPlaying(playing);
}
let styled = false;
function adoptStyle() {
if (styled) return;
styled = true;
const sheet = new CSSStyleSheet();
sheet.replaceSync(STYLE);
document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
}
function ownAddress() {
const source = document.currentScript?.src ?? "";
let written = null;
return () => {
if (source.startsWith("http")) return source;
written ??= URL.createObjectURL(new Blob([`(${livingPage})()`], { type: "text/javascript" }));
return written;
};
}
function mountAll() {
const address = ownAddress();
for (const root of document.querySelectorAll("[data-living-page]:not(.pg)")) {
const settings = JSON.parse(root.dataset.livingPage || "{}");
const small = root.dataset.small ? JSON.parse(root.dataset.small) : null;
mount(root, { settings, linked: root.hasAttribute("data-linked"), small, address });
}
}
if (typeof document === "undefined") answerAsWorker(globalThis);
else mountAll();
})();

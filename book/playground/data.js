// Where the real samples come from: the distributions of gpcore.data, in the same units, and the reader's own points.

const ring = Array.from({ length: 8 }, (_, i) => (2 * Math.PI * i) / 8);
const steps = [-4, -2, 0, 2, 4];

// What a distribution's modes are, and how wide; those without modes are not listed.
export const CENTERS = {
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

// A function that draws one real sample [x, y]. `points` are the reader's own, [[x, y], ...].
export function sampler(data, points, random) {
  if (data === "swiss_roll") return () => swissRoll(random);
  if (data === "drawn") {
    const centers = points.length ? points : [[0, 0]];
    return () => spread(centers, DRAWN_DEVIATION, random);
  }
  return () => spread(CENTERS[data], DEVIATIONS[data], random);
}

// How many modes hold at least a quarter of their fair share of the samples, counted within a radius of a quarter of
// the distance between neighbours. null where the data have no modes.
export function modesCovered(data, samples) {
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

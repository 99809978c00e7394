// Gradient norm scaling of one network: g <- g * threshold / ||g|| where ||g|| > threshold. The threshold is fixed, or
// follows the norms seen so far, as in gpcore.thresholds.

// ZClip's smoothing, and the norms that only set its running values.
const SMOOTHING = 0.97;
const WARMUP = 25;

const average = (numbers) => numbers.reduce((sum, number) => sum + number, 0) / numbers.length;

// Where a number goes in a sorted list.
function placeOf(number, sorted) {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle] < number) low = middle + 1;
    else high = middle;
  }
  return low;
}

// Each makes a function of a norm and the settings that returns the threshold; a memory goes with it.
export const THRESHOLDS = {
  // 0 switches it off.
  clip_norm: () => (norm, { threshold }) => threshold || Infinity,
  // A percentile of all norms so far, this one included (Seetharaman et al. 2020).
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
  // By how many standard deviations a norm lies above the running mean (Kumar et al. 2025, reciprocal clipping).
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

// Whether these settings scale anything down at all.
export const scales = ({ scaling, threshold }) => scaling !== "clip_norm" || threshold > 0;

// A function that scales a gradient in place and returns its norm before and after; one for each network. Another kind
// of threshold begins without a memory.
export function createScaler() {
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

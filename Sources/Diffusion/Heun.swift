import RealModule

/// Heun's method, of order 2, on the probability-flow ODE, with churn (Karras et al. 2022,
/// algorithm 2).
///
/// The ODE is that of algorithm 1 with `s(t) = 1 - t` and `σ(t) = t/(1 - t)`, so that its time is a
/// level's noise share: `d(x/(α + σ)) = (ε - x0) dτ`. Euler's step in it is that in algorithm 2's
/// own time σ/α, and DDIM's; but σ/α of pure noise is 10⁴ for a cosine schedule, over which Heun's
/// mean of two slopes means nothing. Every step but the one into `.clean`, which returns x0, asks
/// for x0 twice.
///
/// - Parameters:
///   - start: a sample at the first level, usually pure noise.
///   - levels: from noise to data; `NoiseSchedule.levels` gives them and ends with `.clean`.
///   - churn: `S_churn`, from 0 up: each of N steps first adds noise until σ/α has grown by the
///     factor `1 + min(churn/N, √2 - 1)`, but not beyond the first level, which gets none.
///   - corrects: false for Euler's method, of order 1, which asks once.
///   - level: that of a noise share, `NoiseSchedule.level(noiseShare:)`.
///   - denoise: the estimate of x0 for a sample at a level, clipped or not.
///   - noise: fresh `N(0, I)` for a step, counted from 0; never asked when churn is 0.
/// - Returns: a sample at the last level.
public func heun<V: Vector>(
  from start: V, through levels: [Level], churn: Double = 0, corrects: Bool = true,
  level: (Double) -> Level, denoise: (V, Level) throws -> V, noise: (Int) throws -> V
) throws -> V {
  try check("churn", churn, in: 0...Double.greatestFiniteMagnitude)
  let growth = 1 + min(churn / Double(max(levels.count - 1, 1)), Double.sqrt(2) - 1)
  var x = start
  for (i, (planned, next)) in zip(levels, levels.dropFirst()).enumerated() {
    var current = planned
    if growth > 1, i > 0 {
      let ratio = growth * planned.sigma / planned.alpha
      current = level(min(ratio / (1 + ratio), levels[0].noiseShare))
      let kept = min(current.alphaBar / planned.alphaBar, 1)
      x = .combine(kept.squareRoot(), x, (1 - kept).squareRoot(), try noise(i))
    }
    let x0 = try denoise(x, current)
    let ahead = Transition(deterministicFrom: current, to: next)(x, x0)
    guard corrects, next.variance > 0 else {
      x = ahead
      continue
    }
    // Euler has taken the first slope for the mean of both.
    let half = (next.alpha + next.sigma) * (next.noiseShare - current.noiseShare) / 2
    let slopes = (current.slope(x, x0), next.slope(ahead, try denoise(ahead, next)))
    x = .combine(1, ahead, half, slopes.1, -half, slopes.0)
  }
  return x
}

extension Level {
  /// `ε - x0`, the derivative of `x/(α + σ)` by the noise share.
  func slope<V: Vector>(_ x: V, _ x0: V) -> V {
    .combine(1 / sigma, x, -(alpha + sigma) / sigma, x0)
  }
}

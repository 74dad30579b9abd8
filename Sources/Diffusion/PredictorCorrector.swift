/// How ``predictorCorrector(from:through:predictor:corrections:signalToNoise:denoise:noise:)`` goes
/// from one level to the next.
public enum Predictor: String, CaseIterable, Sendable {
  /// Ancestral sampling with the variance `large` (Song et al. 2021, eq. 4).
  case ancestral

  /// `x' = (2 - √(1-β)) x + β s + √β z`, the reverse of the forward process' own steps (Song et al.
  /// 2021, appendix E, and algorithm 3).
  case reverse
}

/// Predictor–corrector sampling (Song et al. 2021, algorithms 3 and 5): after every step but the one
/// into `.clean`, which returns x0, some steps of Langevin's dynamics at the level that is reached.
///
/// - Parameters:
///   - start: a sample at the first level, usually pure noise.
///   - levels: from noise to data; `NoiseSchedule.levels` gives them and ends with `.clean`.
///   - predictor: the step from one level to the next.
///   - corrections: steps of Langevin's dynamics at each level: In 0...1000.
///   - signalToNoise: r of ``langevin(_:at:signalToNoise:denoise:noise:)``.
///   - denoise: the estimate of x0 for a sample at a level, clipped or not; asked once for a step and
///     once for a correction.
///   - noise: fresh `N(0, I)` for an index from 0 up, which no two uses share.
/// - Returns: a sample at the last level.
public func predictorCorrector<V: Vector>(
  from start: V, through levels: [Level], predictor: Predictor, corrections: Int,
  signalToNoise r: Double, denoise: (V, Level) throws -> V, noise: (Int) throws -> V
) throws -> V {
  try check("corrections", corrections, in: 0...1000)
  try check("signalToNoise", r, in: 0...Double.greatestFiniteMagnitude)
  var x = start
  for (i, (level, next)) in zip(levels, levels.dropFirst()).enumerated() {
    let address = i * (1 + corrections)
    x = try walk(from: x, through: [level, next], denoise: denoise) { _ in
      try noise(address)
    } transition: {
      predictor.transition(from: $0, to: $1)
    }
    guard next.variance > 0 else { continue }
    for k in 0..<corrections {
      x = try langevin(x, at: next, signalToNoise: r, denoise: denoise) {
        try noise(address + 1 + k)
      }
    }
  }
  return x
}

/// One step of Langevin's dynamics, `x' = x + ε s + √(2ε) z` with the score s and
/// `ε = 2 (r ‖z‖/‖s‖)²`, sample by sample (Song et al. 2021, algorithm 5).
///
/// Algorithm 5 also multiplies ε by the `1 - β` of the step; that is 1 in the limit of small steps
/// and says nothing of the level, so it is left out, as in algorithm 4.
///
/// - Parameters:
///   - level: with some noise.
///   - signalToNoise: r, how large the two steps, by the score and by noise, are to each other.
public func langevin<V: Vector>(
  _ x: V, at level: Level, signalToNoise r: Double, denoise: (V, Level) throws -> V,
  noise: () throws -> V
) rethrows -> V {
  let (x0, z) = (try denoise(x, level), try noise())
  let score = V.combine(level.alpha / level.variance, x0, -1 / level.variance, x)
  // With ρ = ‖z‖/‖s‖ the step is ρ (2r² ρ s + 2r z).
  let drift = V.scale(score, byNormOf: z, over: score)
  let step = V.combine(2 * r * r, drift, 2 * r, z)
  return .combine(1, x, 1, .scale(step, byNormOf: z, over: score))
}

extension Predictor {
  fileprivate func transition(from level: Level, to next: Level) -> Transition {
    switch self {
    case .ancestral: Transition(ancestralFrom: level, to: next, variance: .large)
    case .reverse: Transition(reverseFrom: level, to: next) { 2 - (1 - $0).squareRoot() }
    }
  }
}

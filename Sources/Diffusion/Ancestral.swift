/// The variance of the reverse step, which the training objective leaves open
/// (Ho et al. 2020, section 3.2).
public enum ReverseVariance: String, CaseIterable, Sendable {
  /// `β̃`, exact when the data is a single point.
  case small

  /// `β`, exact when the data is N(0, I).
  case large

  /// `β̃ + c₁² Var(x0 | x)` with c₁ the share of x0 in the step's mean: exact for data
  /// N(m, s² I), and the best of one number for any data (Bao et al. 2022, theorem 1).
  case analytic

  /// Between `small` and `large`, for every element what the network chooses: ``LearnedVariance``.
  case learned
}

/// Ancestral sampling (Ho et al. 2020, algorithm 2) on a chain respaced to the given levels
/// (Nichol & Dhariwal 2021, eq. 19).
///
/// - Parameters:
///   - start: a sample at the first level, usually pure noise.
///   - levels: from noise to data; `NoiseSchedule.levels` gives them and ends with `.clean`.
///   - variance: that of every step but the one into `.clean`, which adds no noise. Of `learned` the
///     choice is not known here, and is as if v were 0.
///   - uncertainty: for the variance `analytic`, Var(x0 | x) at a level, its mean over x and over
///     dimensions. 0, as if x0 were known, makes it `small`.
///   - denoise: the estimate of x0 for a sample at a level, clipped or not.
///   - noise: fresh `N(0, I)` for a step, counted from 0.
/// - Returns: a sample at the last level.
public func ancestral<V: Vector>(
  from start: V, through levels: [Level], variance: ReverseVariance,
  uncertainty: (Level) -> Double = { _ in 0 }, denoise: (V, Level) throws -> V,
  noise: (Int) throws -> V
) rethrows -> V {
  try walk(from: start, through: levels, denoise: denoise, noise: noise) {
    Transition(ancestralFrom: $0, to: $1, variance: variance, uncertainty: uncertainty($0))
  }
}

/// The same with the variance `learned` (Nichol & Dhariwal 2021, section 3.1).
///
/// - Parameter estimate: x0 for a sample at a level, clipped or not, and for every element the v of
///   ``LearnedVariance``.
public func ancestral<V: Vector>(
  from start: V, through levels: [Level], estimate: (V, Level) throws -> (x0: V, v: V),
  noise: (Int) throws -> V
) rethrows -> V {
  var x = start
  for (i, (level, next)) in zip(levels, levels.dropFirst()).enumerated() {
    let (x0, v) = try estimate(x, level)
    let step = Transition(ancestralFrom: level, to: next, variance: .small)
    if step.noise == 0 {
      x = step(x, x0)
    } else {
      let growth = LearnedVariance(from: level, to: next).range / 2
      let z = V.scale(try noise(i), byExponentialOf: growth, v)
      x = .combine(step.original, x0, step.current, x, step.noise, z)
    }
  }
  return x
}

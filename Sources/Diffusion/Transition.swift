/// One step of a sampler: `x ← original·x0 + current·x + noise·z`, where x0 is the denoiser's
/// answer and `z ~ N(0, I)`. A first-order sampler is no more than a choice of these three.
struct Transition {
  var original: Double
  var current: Double
  var noise: Double
}

extension Level {
  /// `β = 1 - ᾱ/ᾱ'` of a chain in which this level follows the cleaner one `ᾱ'` at once
  /// (Nichol & Dhariwal 2021, eq. 19).
  func beta(after cleaner: Level) -> Double {
    precondition(cleaner.alphaBar > alphaBar, "levels must go from noise to data")
    return 1 - alphaBar / cleaner.alphaBar
  }

  /// `β̃ = (1 - ᾱ')/(1 - ᾱ) β`, the variance of `q(x' | x, x0)` (Ho et al. 2020, eq. 7).
  func posteriorVariance(after cleaner: Level) -> Double {
    cleaner.variance / variance * beta(after: cleaner)
  }

  /// `√(1-β) (1 - ᾱ')/(1 - ᾱ)`, the share of x in the mean of `q(x' | x, x0)` (eq. 7).
  func posteriorShare(after cleaner: Level) -> Double {
    alpha / cleaner.alpha * cleaner.variance / variance
  }
}

/// Takes `start`, a sample at the first of the levels, to the last of them.
///
/// - Parameters:
///   - denoise: `E[x0 | x]` at a level; not asked when clean, where x is x0.
///   - noise: `z` for a step, counted from 0; not asked when its coefficient is 0.
///   - transition: the step from one level to the next.
func walk<V: Vector>(
  from start: V, through levels: [Level], denoise: (V, Level) throws -> V,
  noise: (Int) throws -> V, transition: (Level, Level) -> Transition
) rethrows -> V {
  var x = start
  for (i, (level, next)) in zip(levels, levels.dropFirst()).enumerated() {
    let k = transition(level, next)
    let x0 = level.variance == 0 ? x : try denoise(x, level)
    if k.noise == 0 {
      x = .combine(k.original, x0, k.current, x)
    } else {
      x = .combine(k.original, x0, k.current, x, k.noise, try noise(i))
    }
  }
  return x
}

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
    // So written, nearly clean neighbours lose no digits.
    return (cleaner.alphaBar - alphaBar) / cleaner.alphaBar
  }

  /// `β̃ = (1 - ᾱ')/(1 - ᾱ) β`, the variance of `q(x' | x, x0)` (Ho et al. 2020, eq. 7).
  func posteriorVariance(after cleaner: Level) -> Double {
    cleaner.variance / variance * beta(after: cleaner)
  }

  /// `α' β/(1 - ᾱ)`, c₁, the share of x0 in the mean of `q(x' | x, x0)` (eq. 7).
  func originalShare(after cleaner: Level) -> Double {
    cleaner.alpha * beta(after: cleaner) / variance
  }

  /// `√(1-β) (1 - ᾱ')/(1 - ᾱ)`, the share of x in the mean of `q(x' | x, x0)` (eq. 7).
  func posteriorShare(after cleaner: Level) -> Double {
    alpha / cleaner.alpha * cleaner.variance / variance
  }
}

extension Transition {
  /// DDIM without fresh noise (Song et al. 2020, eq. 12 with σ = 0). In λ it is the solution of the
  /// probability-flow ODE for an x0 that stays as it is (Lu et al. 2022b, proposition 4.1):
  /// `σ'/σ x + α' (1 - e^(λ-λ')) x0`, finite where λ is not.
  init(deterministicFrom level: Level, to next: Level) {
    self.init(from: level, to: next, epsilon: next.sigma, noise: 0)
  }

  /// `x' = α' x0 + epsilon·ε + noise·z` with `ε = (x - α x0)/σ` (Song et al. 2020, eq. 12).
  init(from level: Level, to next: Level, epsilon: Double, noise: Double) {
    // At a clean level x does not show ε: its expectation is 0, and so is its part of the step.
    let current = level.variance == 0 ? 0 : epsilon / level.sigma
    self.init(original: next.alpha - current * level.alpha, current: current, noise: noise)
  }

  /// A draw of `q(x' | x, x0)` (Ho et al. 2020, eq. 7), with that variance or a larger one.
  ///
  /// - Parameter uncertainty: Var(x0 | x), for `analytic` only.
  init(
    ancestralFrom level: Level, to next: Level, variance: ReverseVariance, uncertainty: Double = 0
  ) {
    let added =
      next.variance == 0 ? 0 : variance(from: level, to: next, uncertainty: uncertainty)
    self.init(
      original: level.originalShare(after: next), current: level.posteriorShare(after: next),
      noise: added.squareRoot())
  }

  /// `x' = drift·x + β s + √β z` with the score `s = (α x0 - x)/σ²`; the step into `.clean` is x0.
  init(reverseFrom level: Level, to next: Level, drift: (_ beta: Double) -> Double) {
    guard next.variance > 0 else {
      self.init(original: 1, current: 0, noise: 0)
      return
    }
    let beta = level.beta(after: next)
    self.init(
      original: beta * level.alpha / level.variance,
      current: drift(beta) - beta / level.variance,
      noise: beta.squareRoot())
  }

  /// Without the noise.
  func callAsFunction<V: Vector>(_ x: V, _ x0: V) -> V { .combine(original, x0, current, x) }
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
      x = k(x, x0)
    } else {
      x = .combine(k.original, x0, k.current, x, k.noise, try noise(i))
    }
  }
  return x
}

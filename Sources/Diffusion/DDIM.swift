/// DDIM with any share of fresh noise (Song et al. 2020, eq. 12 and 16).
///
/// - Parameters:
///   - start: a sample at the first level, usually pure noise.
///   - levels: from noise to data; `NoiseSchedule.levels` gives them and ends with `.clean`.
///   - eta: the share of fresh noise: In 0...1. 0 is deterministic; 1 is `ancestral` with the
///     variance `small`.
///   - denoise: the estimate of x0 for a sample at a level, clipped or not.
///   - noise: fresh `N(0, I)` for a step, counted from 0; never asked when eta is 0.
/// - Returns: a sample at the last level.
public func ddim<V: Vector>(
  from start: V, through levels: [Level], eta: Double,
  denoise: (V, Level) throws -> V, noise: (Int) throws -> V
) throws -> V {
  try check("eta", eta, in: 0...1)
  return try walk(from: start, through: levels, denoise: denoise, noise: noise) { level, next in
    let fresh = eta * eta

    // σ'² - β̃ = (share σ)²: the difference itself loses every digit where β̃ is almost σ'².
    let left = level.posteriorShare(after: next) * level.sigma
    let epsilon = ((1 - fresh) * next.variance + fresh * left * left).squareRoot()
    let noise = (fresh * level.posteriorVariance(after: next)).squareRoot()
    return Transition(from: level, to: next, epsilon: epsilon, noise: noise)
  }
}

/// Deterministic DDIM (Song et al. 2020, eq. 12 with σ = 0): Euler's method, of order 1, for the
/// ODE `d(x/α) = ε d(σ/α)` (section 4.3).
public func ddim<V: Vector>(
  from start: V, through levels: [Level], denoise: (V, Level) throws -> V
) rethrows -> V {
  try walk(from: start, through: levels, denoise: denoise, noise: { _ in start }) {
    Transition(deterministicFrom: $0, to: $1)
  }
}

/// The coefficients of deterministic DDIM's step, `x' = original·x0 + current·x`.
public func ddimCoefficients(
  from level: Level, to next: Level
) -> (original: Double, current: Double) {
  let step = Transition(deterministicFrom: level, to: next)
  return (step.original, step.current)
}

/// The noise from which deterministic DDIM draws `original`: without refinements up to an error of
/// order 1 in the step (Song et al. 2020, section 5.4).
///
/// That error is each step's own: it asks the denoiser for the sample that the sampler came to, and
/// not for the one that it came from. A refinement asks for the latter as far as it is known, sees
/// where the step would have led, and corrects by what is missing, over `∂x'/∂x` of data with unit
/// variance, `α α' + σ σ'`: a Newton step that is exact for such data, and a contraction where
/// `∂x'/∂x` of others is less than twice that. Steps too long to trust it, over two thirds of the way
/// from data to noise in the angle `atan(σ/α)`, are not refined.
///
/// - Parameters:
///   - levels: those of the sampler, from noise to data: they are walked backwards.
///   - refinements: of each step; each asks the denoiser once more.
public func ddimInversion<V: Vector>(
  of original: V, through levels: [Level], refinements: Int = 0,
  denoise: (V, Level) throws -> V
) rethrows -> V {
  var x = original
  let backwards = levels.reversed()
  for (next, level) in zip(backwards, backwards.dropFirst()) {
    let target = x
    let x0 = next.variance == 0 ? x : try denoise(x, next)
    x = Transition(deterministicFrom: next, to: level)(x, x0)
    let step = Transition(deterministicFrom: level, to: next)
    // The cosine of the angle between the two levels.
    let slope = level.alpha * next.alpha + level.sigma * next.sigma
    for _ in 0..<(slope > 0.5 ? max(0, refinements) : 0) {
      let reached = step(x, try denoise(x, level))
      x = .combine(1, x, 1 / slope, target, -1 / slope, reached)
    }
  }
  return x
}

/// A consistency function, which takes a sample at any level to where its path of the
/// probability-flow ODE leaves the noise (Song et al. 2023, "Consistency Models", section 3):
/// with `x = y/α` and `ρ = σ/α`,
///
///     f(x, ρ) = s x + (1 - s) D(x, ρ),  s = σ_d²/((ρ - ε)² + σ_d²)
///
/// where D is a network's estimate of x0, and ε is ρ of ``boundary``, at which f is x itself.
///
/// s is the paper's c_skip. In place of its c_out F (appendix C), which near the boundary vanishes like
/// ρ - ε, (1 - s) D does so like (ρ - ε)²: what the network says there can do less, and the boundary
/// holds the rest. With few levels that decides: by c_out, a model of the built-in digits came to say
/// one image for all.
public struct ConsistencyFunction: Sendable {
  /// The cleanest level: with noise, since paths end there.
  public let boundary: Level

  /// σ_d, about the deviation of the data (Karras et al. 2022, table 1).
  private static let dataDeviation = 0.5

  public init(boundary: Level) { self.boundary = boundary }

  /// The coefficients of `f = sample·y + original·D`; 1/α and 0 at the boundary.
  public func coefficients(at level: Level) -> (sample: Double, original: Double) {
    // Multiplied by α², since ρ of pure noise is infinite.
    let signal = Self.dataDeviation * Self.dataDeviation * level.alphaBar
    let distance = level.sigma - boundary.sigma / boundary.alpha * level.alpha
    let share = level == boundary ? 1 : signal / (distance * distance + signal)
    return (level.alpha == 0 ? 0 : share / level.alpha, 1 - share)
  }

  /// A sample at the level from one at the boundary by fresh noise, `x + √(ρ² - ε²) z` in x:
  /// `y = sample·x + noise·z`.
  func diffusion(to level: Level) -> (sample: Double, noise: Double) {
    let kept = level.alphaBar * boundary.variance / boundary.alphaBar
    return (level.alpha, max(0, level.variance - kept).squareRoot())
  }
}

/// Sampling from a consistency model (Song et al. 2023, algorithm 1).
///
/// - Parameters:
///   - start: a sample at the first level, usually pure noise.
///   - levels: from noise to data; the last is the boundary that the model was trained with.
///   - denoise: the model's D for a sample at a level, clipped or not; asked at all levels but the
///     last.
///   - noise: fresh `N(0, I)` for a step, counted from 0; the first step needs none.
/// - Returns: a sample at the boundary, over its α.
public func consistencySampling<V: Vector>(
  from start: V, through levels: [Level], denoise: (V, Level) throws -> V,
  noise: (Int) throws -> V
) rethrows -> V {
  guard let boundary = levels.last else { return start }
  let function = ConsistencyFunction(boundary: boundary)
  var x = start
  for (i, level) in levels.dropLast().enumerated() {
    if i > 0 {
      let diffusion = function.diffusion(to: level)
      x = .combine(diffusion.sample, x, diffusion.noise, try noise(i))
    }
    let coefficients = function.coefficients(at: level)
    x = .combine(coefficients.sample, x, coefficients.original, try denoise(x, level))
  }
  return x
}

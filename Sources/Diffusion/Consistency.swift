/// A consistency function, which takes a sample at any level to where its path of the
/// probability-flow ODE leaves the noise (Song et al. 2023, "Consistency Models", section 3):
/// with `x = y/α` and `ρ = σ/α`,
///
///     f(x, ρ) = c_skip x + c_out F,  c_skip = σ_d²/((ρ - ε)² + σ_d²),  c_out = σ_d (ρ - ε)/√(ρ² + σ_d²)
///
/// (appendix C), where ε is ρ of ``boundary``, at which f is x itself. F is what a network of Karras et
/// al. (2022, eq. 7) says, `D = σ_d²/(ρ² + σ_d²) x + ρ σ_d/√(ρ² + σ_d²) F`: in a network's estimate D of
/// x0,
///
///     f(x, ρ) = (c_skip - k σ_d²/(ρ² + σ_d²)) x + k D,  k = (ρ - ε)/ρ
public struct ConsistencyFunction: Sendable {
  /// The cleanest level: with noise, since paths end there.
  public let boundary: Level

  /// σ_d, about the deviation of the data (Karras et al. 2022, table 1).
  private static let dataDeviation = 0.5

  public init(boundary: Level) { self.boundary = boundary }

  /// The coefficients of `f = sample·y + original·D`; 1/α and 0 at the boundary.
  public func coefficients(at level: Level) -> (sample: Double, original: Double) {
    guard level.alpha > 0 else { return (0, 1) }
    guard level != boundary else { return (1 / level.alpha, 0) }
    // Multiplied by α², since ρ may be large.
    let signal = Self.dataDeviation * Self.dataDeviation * level.alphaBar
    let distance = level.sigma - boundary.sigma / boundary.alpha * level.alpha
    let (skip, k) = (signal / (distance * distance + signal), distance / level.sigma)
    return ((skip - k * signal / (level.variance + signal)) / level.alpha, k)
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

/// What the network is asked for.
///
/// Each target is `c₀ x0 + c₁ ε`; those two numbers are all that is known about it, and every
/// conversion follows from them. A further one is one more row of `coefficients(at:)`.
public enum PredictionTarget: String, CaseIterable, Sendable {
  /// `ε` (Ho et al. 2020, eq. 14)
  case noise

  /// `x0`
  case original

  /// `v = α ε - σ x0` (Salimans & Ho 2022, section 4)
  case velocity

  /// `-ε/σ`, the gradient of the log-density of x (Song et al. 2021; Vincent 2011)
  case score

  /// `(c₀, c₁)`: the target is `c₀ x0 + c₁ ε`.
  public func coefficients(at level: Level) -> (original: Double, noise: Double) {
    switch self {
    case .noise: (0, 1)
    case .original: (1, 0)
    case .velocity: (-level.sigma, level.alpha)
    case .score: (0, -1 / level.sigma)
    }
  }

  /// The coefficients that give `x0 = a·x + b·output` from a sample and the network's output.
  ///
  /// `x = α x0 + σ ε` and `output = c₀ x0 + c₁ ε` are two equations in x0 and ε; by Cramer's rule
  /// `x0 = (c₁ x - σ output) / (α c₁ - σ c₀)`. There must be noise (σ > 0), and for `noise` and
  /// `score` also signal (ᾱ > 0): see `needsSignal`.
  public func recovery(at level: Level) -> (x: Double, output: Double) {
    let d = determinant(at: level)
    return (coefficients(at: level).noise / d, -level.sigma / d)
  }

  /// Whether x0 cannot be recovered at a level of pure noise.
  public var needsSignal: Bool { self == .noise || self == .score }

  /// `σ²/(α c₁ - σ c₀)²`, which times the squared error of the output is that of x0: x is known
  /// exactly. There must be noise, and signal where `needsSignal`.
  public func originalError(at level: Level) -> Double {
    let d = determinant(at: level)
    return level.variance / (d * d)
  }

  /// `α c₁ - σ c₀`: α for noise, -σ for original, 1 for velocity, -α/σ for score.
  private func determinant(at level: Level) -> Double {
    let c = coefficients(at: level)
    return level.alpha * c.noise - level.sigma * c.original
  }
}

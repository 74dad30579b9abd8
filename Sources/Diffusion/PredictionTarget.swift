/// What the network is asked for, and equally the space in which its error is measured.
///
/// Each target is `c₀ x0 + c₁ ε`; those two numbers are all that is known about it, and every
/// conversion and weight follows from them. A further one, such as the score `(0, -1/σ)`, is one
/// more row of `coefficients(at:)`.
public enum PredictionTarget: String, CaseIterable, Sendable {
  /// `ε` (Ho et al. 2020, eq. 14)
  case noise

  /// `x0`
  case original

  /// `v = α ε - σ x0` (Salimans & Ho 2022, section 4)
  case velocity

  /// `(c₀, c₁)`: the target is `c₀ x0 + c₁ ε`.
  public func coefficients(at level: Level) -> (original: Double, noise: Double) {
    switch self {
    case .noise: (0, 1)
    case .original: (1, 0)
    case .velocity: (-level.sigma, level.alpha)
    }
  }

  /// The coefficients that give `x0 = a·x + b·output` from a sample and the network's output.
  ///
  /// `x = α x0 + σ ε` and `output = c₀ x0 + c₁ ε` are two equations in x0 and ε; by Cramer's rule
  /// `x0 = (c₁ x - σ output) / (α c₁ - σ c₀)`. There must be noise (σ > 0), and for `noise` also
  /// signal (ᾱ > 0), which every level of a `NoiseSchedule` has.
  public func recovery(at level: Level) -> (x: Double, output: Double) {
    let d = determinant(at: level)
    return (coefficients(at: level).noise / d, -level.sigma / d)
  }

  /// The factor that turns the squared error of the network's output into the squared error
  /// measured in another space, clipped at `limit`.
  ///
  /// x is known exactly, so an error in one target is an error in x0 times that target's
  /// determinant over σ, and the factor is the squared ratio of the two determinants. For
  /// `original` it is SNR in noise space, 1 in its own, and 1 + SNR = 1/σ² in velocity space.
  ///
  /// The last two grow without bound as σ → 0, where x already shows x0 and there is least to
  /// learn: unclipped, the few cleanest samples of a batch would decide its gradient. 400 leaves
  /// 1/σ² as it is down to σ = 0.05. A small limit is min-SNR-γ (Hang et al. 2023): target
  /// `original` measured in `noise` with limit γ weighs by min(SNR, γ).
  ///
  /// - Parameter limit: In (0, ∞].
  public func lossWeight(
    measuredIn space: PredictionTarget, at level: Level, limit: Double = 400
  ) -> Double {
    precondition(limit > 0, "limit = \(limit) is not positive")
    let ratio = space.determinant(at: level) / determinant(at: level)
    return min(ratio * ratio, limit)
  }

  /// `α c₁ - σ c₀`: α for noise, -σ for original, 1 for velocity.
  private func determinant(at level: Level) -> Double {
    let c = coefficients(at: level)
    return level.alpha * c.noise - level.sigma * c.original
  }
}

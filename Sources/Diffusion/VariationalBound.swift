import RealModule

/// The negative evidence lower bound of a diffusion by its three terms, in nats: an upper bound of
/// `-ln p(x0)` (Ho et al. 2020, eq. 5).
public struct VariationalBound: Equatable, Sendable {
  /// `KL(q(x_T|x0) ‖ N(0, I))`
  public let prior: Double

  /// `Σ KL(q(x'|x, x0) ‖ p(x'|x))` over the steps between levels of noise.
  public let diffusion: Double

  /// `-ln p(x0|x_1)`, of the step into clean data.
  public let reconstruction: Double

  public var total: Double { prior + diffusion + reconstruction }

  public init(prior: Double, diffusion: Double, reconstruction: Double) {
    self.prior = prior
    self.diffusion = diffusion
    self.reconstruction = reconstruction
  }
}

/// A step of a chain, and for how many it stands in a sum over all steps.
public struct ChainStep: Equatable, Sendable {
  /// It leads from level `index` to the next one.
  public let index: Int
  public let weight: Double

  /// Some of the steps between levels of noise, so that weighted sums over them are those over all
  /// in expectation.
  ///
  /// A step is drawn by its share of ln σ. Gaussian data of variance 1 adds as much to the bound, so
  /// that the terms differ little; for a drawing by equal shares they would by powers of ten.
  ///
  /// - Parameters:
  ///   - levels: from noise to data; they end with `.clean`.
  ///   - count: how many; all of them, once each, if there are no more.
  ///   - uniform: for each of that many strata a draw: In 0..<1.
  public static func drawn(
    from levels: [Level], count: Int, uniform: (Int) -> Double
  ) -> [ChainStep] {
    let all = 0..<max(levels.count - 2, 0)
    guard count < all.count else { return all.map { ChainStep(index: $0, weight: 1) } }
    func place(_ i: Int) -> Double { .log(levels[0].sigma / levels[i].sigma) }
    let whole = place(all.count)
    var index = 0
    return (0..<max(count, 0)).map { stratum in
      let drawn = whole * (Double(stratum) + uniform(stratum)) / Double(count)
      while index < all.count - 1, place(index + 1) <= drawn { index += 1 }
      let share = (place(index + 1) - place(index)) / whole
      return ChainStep(index: index, weight: 1 / (share * Double(count)))
    }
  }
}

/// What a denoiser makes of one sample at the levels of a chain: all that the bound takes, but for
/// the variances of the reverse steps.
public struct DenoisedChain<V: Vector>: Sendable {
  private let levels: [Level]
  private let dimensions: Int
  private let original: V
  /// Of x0, at each of some steps.
  private let squaredErrors: [(step: ChainStep, value: Double)]
  /// Of x0, at the last level with noise.
  private let estimate: V

  /// - Parameters:
  ///   - x0: the sample.
  ///   - levels: from noise to data; `NoiseSchedule.levels` gives them and ends with `.clean`.
  ///   - steps: those between levels of noise that are looked at; nil for all.
  ///   - dimensions: of the space.
  ///   - denoise: the estimates of x0 for samples, each at a level of its own, clipped or not; asked
  ///     once.
  ///   - noise: fresh `N(0, I)`, counted from 0; one for each step, and one more.
  public init(
    _ x0: V, through levels: [Level], steps: [ChainStep]? = nil, dimensions: Int,
    denoise: ([V], [Level]) throws -> [V], noise: (Int) throws -> V
  ) rethrows {
    precondition(levels.count > 1 && levels.last?.variance == 0, "levels must end with .clean")
    let steps = steps ?? ChainStep.drawn(from: levels, count: .max) { _ in 0 }
    let visited = steps.map { levels[$0.index] } + [levels[levels.count - 2]]
    let samples = try visited.enumerated().map { i, level in
      V.combine(level.alpha, x0, level.sigma, try noise(i))
    }
    let estimates = try denoise(samples, visited)
    squaredErrors = zip(steps, estimates).map { step, estimate in
      let error = V.combine(1, x0, -1, estimate)
      return (step, V.dot(error, error))
    }
    estimate = estimates[steps.count]
    original = x0
    self.levels = levels
    self.dimensions = dimensions
  }

  /// The bound for reverse steps `p(x'|x) = N(c₁ x̂0 + c₂ x, variance)`.
  ///
  /// - Parameters:
  ///   - variance: of the step from one level to the next; of the step into `.clean` it is the
  ///     decoder's.
  ///   - decoder: `-ln p(x0|x_1)` for its mean and variance; `N(x̂0, variance)` if not given.
  public func bound(
    variance: (Level, Level) -> Double, decoder: ((V, Double) -> Double)? = nil
  ) -> VariationalBound {
    let last = levels[levels.count - 2]
    let size = Double(dimensions)
    let diffusion = squaredErrors.reduce(0) { sum, error in
      let (level, next) = (levels[error.step.index], levels[error.step.index + 1])
      let divergence = level.divergence(
        after: next, variance: variance(level, next), squaredError: error.value, dimensions: size)
      return sum + error.step.weight * divergence
    }
    let decoder =
      decoder ?? { mean, variance in
        let error = V.combine(1, original, -1, mean)
        return size / 2 * .log(2 * .pi * variance) + V.dot(error, error) / (2 * variance)
      }
    return VariationalBound(
      prior: prior, diffusion: diffusion,
      reconstruction: decoder(estimate, variance(last, .clean)))
  }

  /// The bound for reverse steps of other Gaussians.
  ///
  /// - Parameters:
  ///   - divergences: `KL(q(x'|x, x0) ‖ p(x'|x))` of each step that is looked at, in their order.
  ///   - decoder: `-ln p(x0|x_1)` for the estimate of x0.
  public func bound(divergences: [Double], decoder: (V) -> Double) -> VariationalBound {
    precondition(divergences.count == squaredErrors.count, "a divergence for each step")
    let diffusion = zip(squaredErrors, divergences).reduce(0) { $0 + $1.0.step.weight * $1.1 }
    return VariationalBound(
      prior: prior, diffusion: diffusion, reconstruction: decoder(estimate))
  }

  private var prior: Double {
    let (size, alphaBar) = (Double(dimensions), levels[0].alphaBar)
    return (alphaBar * (V.dot(original, original) - size) - size * .log(onePlus: -alphaBar)) / 2
  }
}

extension Level {
  /// `KL(q(x'|x, x0) ‖ p(x'|x))` of two Gaussians whose means are apart by c₁ times the error of x0.
  ///
  /// With the variance β̃ it is `½ (SNR' - SNR) ‖x0 - x̂0‖²` (Kingma et al. 2021).
  fileprivate func divergence(
    after cleaner: Level, variance: Double, squaredError: Double, dimensions: Double
  ) -> Double {
    let posterior = posteriorVariance(after: cleaner)
    let excess = posterior / variance - 1
    let share = originalShare(after: cleaner)
    return (dimensions * (excess - .log(onePlus: excess)) + share * share * squaredError / variance)
      / 2
  }
}

extension ReverseVariance {
  /// The variance of `p(x'|x)`. That of the step into `.clean` is β for `small`, too: there β̃ is 0,
  /// which no data can be likely under. `learned` has no one variance: this is as if v were 0.
  ///
  /// - Parameter uncertainty: Var(x0 | x), for `analytic` only.
  public func callAsFunction(from level: Level, to next: Level, uncertainty: Double) -> Double {
    switch self {
    case .small where next.variance > 0, .learned where next.variance > 0:
      return level.posteriorVariance(after: next)
    case .small, .large, .learned: return level.beta(after: next)
    case .analytic:
      let share = level.originalShare(after: next)
      return level.posteriorVariance(after: next) + share * share * uncertainty
    }
  }
}

import RealModule

/// The variances that a network can choose for a reverse step, for every element its own, and what
/// its choice costs (Nichol & Dhariwal 2021, section 3.1):
///
///     ln Σ = v ln β + (1 - v) ln β̃     (eq. 15)
///
/// β and β̃ are those of the step as it is taken: of a respaced chain, that chain's.
public struct LearnedVariance: Equatable, Sendable {
  /// Σ where v is 0: β̃. Into `.clean`, where that is 0, the β̃ of the step before, as in the paper's
  /// code.
  public let low: Double

  /// `ln β/β̃`, by which ln Σ grows from v = 0 to v = 1.
  public let range: Double

  /// With them ``loss(_:squaredError:)`` is `½ (constant + range v + (known + error e²) e^(-range v))`.
  public let constant, known, error: Double

  /// - Parameters:
  ///   - level: with noise.
  ///   - noisier: the level before it, which only the step into `.clean` asks for; without one there
  ///     is no choice there, and Σ is β.
  public init(from level: Level, to next: Level, after noisier: Level? = nil) {
    let high = level.beta(after: next)
    let share = level.originalShare(after: next)
    if next.variance > 0 {
      low = level.posteriorVariance(after: next)
      (constant, known) = (-1, 1)
    } else {
      low = noisier?.posteriorVariance(after: level) ?? high
      (constant, known) = (.log(2 * .pi * low), 0)
    }
    range = .log(high / low)
    error = share * share / low
  }

  /// Σ for v, which may lie beyond 0 and 1.
  public func callAsFunction(_ v: Double) -> Double { low * .exp(range * v) }

  /// Of one element, in nats: `KL(q(x'|x, x0) ‖ N(mean, Σ))`, and of the step into `.clean`
  /// `-ln N(x0; mean, Σ)`.
  ///
  /// - Parameter squaredError: e², of x0: the means of q and p are apart by c₁ e.
  public func loss(_ v: Double, squaredError: Double) -> Double {
    (constant + range * v + (known + error * squaredError) * .exp(-range * v)) / 2
  }
}

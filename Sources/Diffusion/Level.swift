import RealModule

/// A level of noise: where on the way from data to noise a sample stands.
///
/// A sample at this level is `x = α x0 + σ ε` with `ε ~ N(0, I)` and `α² + σ² = 1`
/// (Ho et al. 2020, eq. 4).
public struct Level: Sendable, Hashable {
  /// Place in the schedule, the paper's t less one: 0…T-1, and -1 for clean data. Solvers also ask
  /// between two of the timesteps.
  public let timestep: Double

  /// `ᾱ`, the share of the variance that is still signal: In [0, 1].
  public let alphaBar: Double

  public init(timestep: Double, alphaBar: Double) {
    precondition((0...1).contains(alphaBar), "alphaBar = \(alphaBar) is not in 0...1")
    self.timestep = timestep
    self.alphaBar = alphaBar
  }

  /// The level where ``noiseShare`` is τ: In [0, 1].
  public init(timestep: Double, noiseShare tau: Double) {
    let signal = (1 - tau) * (1 - tau)
    self.init(timestep: timestep, alphaBar: signal / (signal + tau * tau))
  }

  /// No noise at all, the paper's t = 0: where sampling ends.
  public static let clean = Level(timestep: -1, alphaBar: 1)

  /// `α = √ᾱ`, the signal's factor.
  public var alpha: Double { alphaBar.squareRoot() }

  /// `σ² = 1 - ᾱ`, the noise's variance.
  public var variance: Double { 1 - alphaBar }

  /// `σ = √(1 - ᾱ)`, the noise's factor.
  public var sigma: Double { variance.squareRoot() }

  /// `ᾱ / (1 - ᾱ)`, the signal-to-noise ratio; infinite when clean.
  public var snr: Double { alphaBar / variance }

  /// `τ = σ/(α + σ)`: from 0, clean, to 1, pure noise. It is finite at both ends, where σ/α or λ is
  /// not, and `x/(α + σ) = (1 - τ) x0 + τ ε` is linear in it.
  public var noiseShare: Double { sigma / (alpha + sigma) }

  /// `λ = ln(α/σ)`, half the logarithm of the signal-to-noise ratio (Lu et al. 2022a, "DPM-Solver", section 3.1);
  /// infinite at both ends.
  public var lambda: Double { .log(alpha / sigma) }
}

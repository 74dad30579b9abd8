import RealModule

/// A diffusion in continuous time, `dx = f(t) x dt + g(t) dw` for t in 0...1, whose x given x0 is
/// `N(α(t) x0, σ(t)² I)` (Song et al. 2021).
///
/// `x/√(α² + σ²)` is a sample of the standard chain at the level with the same ratio of signal to
/// noise. So each of these is a ``ScheduleKind``, and formulations and samplers know of none.
public enum SDE: CaseIterable, Sendable {
  /// `f = -β/2`, `g² = β` with β from 0.1 to 20 (eq. 11): what `linear` is in the limit of many
  /// steps.
  case variancePreserving

  /// The same f, and `g² = β (1 - e^(-2∫β))`, which is less noise (eq. 12).
  case subVariancePreserving

  /// `f = 0`; σ grows geometrically from 0.01 to 50 (eq. 9). It is 0.01 at once, not 0.
  case varianceExploding

  /// f, what x is multiplied by in the drift.
  public func drift(at t: Double) -> Double {
    self == .varianceExploding ? 0 : -Self.beta(t) / 2
  }

  /// g, the diffusion coefficient.
  public func diffusion(at t: Double) -> Double {
    switch self {
    case .variancePreserving: Self.beta(t).squareRoot()
    case .subVariancePreserving:
      (-Self.beta(t) * .expMinusOne(-2 * Self.betaIntegral(t))).squareRoot()
    case .varianceExploding:
      Self.ladder(t) * (2 * .log(Self.sigmas.upper / Self.sigmas.lower)).squareRoot()
    }
  }

  /// α, the signal's factor.
  public func alpha(at t: Double) -> Double {
    self == .varianceExploding ? 1 : .exp(-Self.betaIntegral(t) / 2)
  }

  /// σ, the noise's deviation.
  public func sigma(at t: Double) -> Double {
    switch self {
    case .variancePreserving: (-Double.expMinusOne(-Self.betaIntegral(t))).squareRoot()
    case .subVariancePreserving: -.expMinusOne(-Self.betaIntegral(t))
    case .varianceExploding: Self.ladder(t)
    }
  }

  /// `ᾱ = α²/(α² + σ²)` of the level where `x/√(α² + σ²)` is.
  public func alphaBar(at t: Double) -> Double {
    let (alpha, sigma) = (alpha(at: t), sigma(at: t))
    return alpha * alpha / (alpha * alpha + sigma * sigma)
  }

  // The constants of their experiments (appendix C).
  private static let betas = (lower: 0.1, upper: 20.0)
  private static let sigmas = (lower: 0.01, upper: 50.0)

  private static func beta(_ t: Double) -> Double { betas.lower + t * (betas.upper - betas.lower) }

  /// `∫ β` from 0 to t
  private static func betaIntegral(_ t: Double) -> Double {
    betas.lower * t + (betas.upper - betas.lower) * t * t / 2
  }

  private static func ladder(_ t: Double) -> Double {
    sigmas.lower * .pow(sigmas.upper / sigmas.lower, t)
  }
}

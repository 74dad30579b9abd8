import RealModule

/// What an error of the estimated x0 counts at each level of noise.
///
/// x is known exactly, so that an error of x0 is one of ε, of v and of the score times a factor: to
/// square it in another space is nothing but to weigh it. Whatever the network predicts, the loss is
/// one of these weights times `‖x0 - x̂0‖²`.
public enum LossWeight: String, CaseIterable, Sendable {
  /// `SNR`: the error of ε is squared, the "simple" loss (Ho et al. 2020, eq. 14).
  case noise

  /// 1
  case original

  /// `1 + SNR = 1/σ²`: the error of v is squared (Salimans & Ho 2022, section 4).
  case velocity

  /// `SNR/σ²`: the error of the score is squared, denoising score matching (Vincent 2011).
  case score

  /// `½ (SNR' - SNR)` with the SNR' of the timestep before: the terms of the variational bound
  /// (Kingma et al. 2021). The first timestep has none before; its weight is `½ SNR`, of a decoder
  /// `N(x̂0, 1/SNR)`.
  case variationalBound = "vlb"

  /// `min(SNR, γ)` (Hang et al. 2023)
  case minimumSNR = "min-snr"

  /// `max(SNR, 1)` (Salimans & Ho 2022, section 4)
  case truncatedSNR = "truncated-snr"

  /// `SNR/(1 + SNR)^γ` (Choi et al. 2022, with k = 1)
  case p2

  /// `SNR + 1/σ_data²`, which is `(σ² + σ_data²)/(σ σ_data)²` with that paper's σ, σ/α here, and its
  /// σ_data = 0.5 (Karras et al. 2022, table 1).
  case edm

  /// Whether it has a γ.
  public var hasGamma: Bool { self == .minimumSNR || self == .p2 }

  /// The γ of their papers' experiments: 5, and 1 for `p2`.
  public var usualGamma: Double { self == .p2 ? 1 : 5 }

  /// The factor of `‖x0 - x̂0‖²`.
  ///
  /// - Parameters:
  ///   - level: with some noise.
  ///   - cleaner: that of the timestep before; `.clean` for the first one.
  ///   - gamma: γ, from 0 up.
  public func value(at level: Level, after cleaner: Level, gamma: Double) -> Double {
    let snr = level.snr
    return switch self {
    case .noise: snr
    case .original: 1
    case .velocity: 1 + snr
    case .score: snr / level.variance
    case .variationalBound: cleaner.variance > 0 ? (cleaner.snr - snr) / 2 : snr / 2
    case .minimumSNR: min(snr, gamma)
    case .truncatedSNR: max(snr, 1)
    case .p2: snr / .pow(1 + snr, gamma)
    case .edm: snr + 1 / (0.5 * 0.5)
    }
  }

  /// For each timestep, the factor of the squared error of a network's output, clipped at `limit`.
  ///
  /// Many of these weights grow without bound as σ → 0, where x already shows x0 and there is least
  /// to learn: unclipped, the few cleanest samples of a batch would decide its gradient. 400 leaves
  /// `1/σ²`, that of target `original` and weight `velocity`, as it is down to σ = 0.05. It also limits
  /// what grows towards pure noise: `1/SNR`, of target `noise` and weight `original`.
  ///
  /// - Parameters:
  ///   - target: what the network predicts.
  ///   - gamma: γ, from 0 up.
  ///   - limit: In (0, ∞].
  public func factors(
    of target: PredictionTarget, along schedule: NoiseSchedule, gamma: Double, limit: Double = 400
  ) -> [Double] {
    precondition(limit > 0, "limit = \(limit) is not positive")
    return (0..<schedule.steps).map { t in
      let level = schedule.level(t)
      let weight = value(at: level, after: t > 0 ? schedule.level(t - 1) : .clean, gamma: gamma)
      return min(weight * target.originalError(at: level), limit)
    }
  }

  /// The same at a time between two timesteps, where the weight of `vlb` is `-½ dSNR/dt`, what
  /// `½ (SNR' - SNR)` comes to for many timesteps (Kingma et al. 2021, section 5).
  ///
  /// - Parameter time: from the first timestep to the last.
  public func factor(
    of target: PredictionTarget, along schedule: NoiseSchedule, at time: Double, gamma: Double,
    limit: Double = 400
  ) -> Double {
    let level = schedule.level(timestep: time)
    let weight =
      self == .variationalBound
      ? schedule.snrDecline(timestep: time) / 2 : value(at: level, after: .clean, gamma: gamma)
    return min(weight * target.originalError(at: level), limit)
  }
}

import RealModule

/// The shape of a noise schedule.
public enum ScheduleKind: String, CaseIterable, Sendable {
  /// β rises in equal steps from 1e-4 to 0.02 (Ho et al. 2020, section 4).
  ///
  /// For T ≠ 1000 both ends are multiplied by 1000/T, so that about the same noise is reached: ᾱ_T
  /// is below 1e-4 from T = 20 up. With fewer steps β meets its bound of 0.999, and nothing of the
  /// data is left long before the end.
  case linear

  /// ᾱ falls as a squared cosine (Nichol & Dhariwal 2021, eq. 17).
  case cosine

  /// ᾱ falls as the logistic function does from -3 to 3, shifted and scaled to fall from 1 to 0
  /// (Jabri et al. 2022).
  case sigmoid

  /// σ/α climbs from 0.01 to 50 by one factor a step: the variance-exploding process, divided by
  /// its deviation (``SDE/varianceExploding``).
  case varianceExploding = "ve"

  /// The sub-VP process, divided likewise (``SDE/subVariancePreserving``).
  case subVariancePreserving = "sub-vp"
}

/// The forward process: how much of the data is left after each of T steps.
public struct NoiseSchedule: Sendable {
  /// `ᾱ_t = Π_{i≤t} (1 - β_i)`; index 0…T-1 for the paper's t = 1…T.
  public let alphaBar: [Double]

  /// The schedule with `T` steps: In 1...100000.
  ///
  /// - Parameter zeroTerminalSNR: whether to end at pure noise: √ᾱ is shifted to 0 at the end and
  ///   scaled to what it was in the beginning (Lin et al. 2023, algorithm 1). T must be 2 at least,
  ///   and a target that `needsSignal` has none in the end.
  public init(
    _ kind: ScheduleKind, steps T: Int, zeroTerminalSNR: Bool = false
  ) throws(DiffusionError) {
    try check("the number of diffusion steps", T, in: (zeroTerminalSNR ? 2 : 1)...100_000)
    let alphaBar = kind.alphaBar(steps: T)
    guard zeroTerminalSNR else {
      self.alphaBar = alphaBar
      return
    }
    let (first, last) = (alphaBar[0].squareRoot(), alphaBar[T - 1].squareRoot())
    self.alphaBar = alphaBar.map {
      let alpha = first * (($0.squareRoot() - last) / (first - last))
      return alpha * alpha
    }
  }

  /// The paper's T.
  public var steps: Int { alphaBar.count }

  /// The level of a timestep: In 0..<steps.
  public func level(_ timestep: Int) -> Level {
    Level(timestep: Double(timestep), alphaBar: alphaBar[timestep])
  }

  /// The level of a time between two timesteps, or of one, as ``level(noiseShare:)`` has it.
  public func level(timestep: Double) -> Level {
    let low = max(0, min(steps - 1, Int(timestep)))
    let fraction = timestep - Double(low)
    guard fraction > 0, low < steps - 1 else { return level(low) }
    let (below, above) = (level(low).noiseShare, level(low + 1).noiseShare)
    return Level(timestep: timestep, noiseShare: below + fraction * (above - below))
  }

  /// `-dSNR/dt` at a time from the first timestep to the last, t counting timesteps: that of
  /// ``level(timestep:)``, whose `SNR = ((1 - τ)/τ)²` has a τ that is linear between two of them. At a
  /// timestep it is of the side after it, and from the last one on 0.
  public func snrDecline(timestep: Double) -> Double {
    let low = max(0, min(steps - 1, Int(timestep)))
    guard low < steps - 1 else { return 0 }
    let growth = level(low + 1).noiseShare - level(low).noiseShare
    let tau = level(timestep: timestep).noiseShare
    return 2 * growth * (1 - tau) / (tau * tau * tau)
  }

  /// The level of any ``Level/noiseShare``: In [0, 1]. Its timestep lies between those of its
  /// neighbours; before the first timestep and after the last one it is that one.
  public func level(noiseShare tau: Double) -> Level {
    let level = Level(timestep: 0, noiseShare: tau)
    // The first timestep that is at least as noisy, by bisection: ᾱ falls.
    var (low, high) = (0, steps - 1)
    while low < high {
      let middle = (low + high) / 2
      if alphaBar[middle] <= level.alphaBar { high = middle } else { low = middle + 1 }
    }
    guard low > 0 else { return level }
    let (below, above) = (self.level(low - 1).noiseShare, self.level(low).noiseShare)
    let fraction = min(1, max(0, (tau - below) / (above - below)))
    return Level(timestep: Double(low - 1) + fraction, alphaBar: level.alphaBar)
  }
}

extension ScheduleKind {
  fileprivate func alphaBar(steps T: Int) -> [Double] {
    switch self {
    case .linear:
      let (first, last) = (1e-4, 0.02)
      return products(steps: T) { t in
        let fraction = T == 1 ? 0 : Double(t) / Double(T - 1)
        return (first + (last - first) * fraction) * (1000 / Double(T))
      }
    case .cosine:
      let s = 0.008  // keeps β from vanishing near t = 0
      func f(_ t: Int) -> Double {
        let cosine = Double.cos((Double(t) / Double(T) + s) / (1 + s) * .pi / 2)
        return cosine * cosine
      }
      return products(steps: T) { 1 - f($0 + 1) / f($0) }
    case .sigmoid:
      // But for the scale, which cancels: the logistic function of 3 less that of -3…3.
      func f(_ t: Int) -> Double {
        let x = 6 * Double(t) / Double(T) - 3
        return 1 / (1 + .exp(-3)) - 1 / (1 + .exp(-x))
      }
      return products(steps: T) { 1 - f($0 + 1) / f($0) }
    case .varianceExploding:
      return (0..<T).map { t in
        SDE.varianceExploding.alphaBar(at: T == 1 ? 1 : Double(t) / Double(T - 1))
      }
    case .subVariancePreserving:
      return (0..<T).map { SDE.subVariancePreserving.alphaBar(at: Double($0 + 1) / Double(T)) }
    }
  }

  /// `Π (1 - β)` with the β of the step that leads to each timestep.
  private func products(steps T: Int, beta: (Int) -> Double) -> [Double] {
    var product = 1.0
    return (0..<T).map { t in
      // A β of 1 would leave no signal, from which noise and score say nothing of x0.
      product *= 1 - min(beta(t), 0.999)
      return product
    }
  }
}

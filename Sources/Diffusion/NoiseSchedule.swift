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
}

/// The forward process: how much of the data is left after each of T steps.
public struct NoiseSchedule: Sendable {
  /// `ᾱ_t = Π_{i≤t} (1 - β_i)`; index 0…T-1 for the paper's t = 1…T.
  public let alphaBar: [Double]

  /// The schedule with `T` steps: In 1...100000.
  public init(_ kind: ScheduleKind, steps T: Int) throws(DiffusionError) {
    try check("the number of diffusion steps", T, in: 1...100_000)
    var product = 1.0
    alphaBar = (0..<T).map { t in
      // A β of 1 would leave no signal and a division by zero in every later formula.
      product *= 1 - min(kind.beta(t, of: T), 0.999)
      return product
    }
  }

  /// The paper's T.
  public var steps: Int { alphaBar.count }

  /// The level of a timestep: In 0..<steps.
  public func level(_ timestep: Int) -> Level {
    Level(timestep: Double(timestep), alphaBar: alphaBar[timestep])
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
  /// β of the step that leads to timestep `t`, before it is clipped.
  fileprivate func beta(_ t: Int, of T: Int) -> Double {
    switch self {
    case .linear:
      let (first, last) = (1e-4, 0.02)
      let fraction = T == 1 ? 0 : Double(t) / Double(T - 1)
      return (first + (last - first) * fraction) * (1000 / Double(T))
    case .cosine:
      func f(_ t: Int) -> Double {
        let s = 0.008  // keeps β from vanishing near t = 0
        let cosine = Double.cos((Double(t) / Double(T) + s) / (1 + s) * .pi / 2)
        return cosine * cosine
      }
      return 1 - f(t + 1) / f(t)
    }
  }
}

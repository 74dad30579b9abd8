/// Classifier-free guidance (Ho & Salimans 2022, eq. 6): away from what the model says without the
/// condition,
///
///     x0 = (1 + w) x0(with) - w x0(without)
///
/// in a part of the process only (Kynkäänniemi et al. 2024). For predictions of the noise, the velocity
/// or the score it is the same: each is linear in x0.
public struct Guidance: Equatable, Sendable {
  /// w; 0 is the conditional model as it is, -1 the one without the condition.
  public var weight: Double
  /// Where it guides: shares of the process' time, (t + 1)/T.
  public var interval: ClosedRange<Double>

  public init(weight: Double, interval: ClosedRange<Double> = 0...1) {
    (self.weight, self.interval) = (weight, interval)
  }

  /// w at a level of a process of so many steps.
  public func weight(at level: Level, steps: Int) -> Double {
    interval.contains((level.timestep + 1) / Double(steps)) ? weight : 0
  }

  /// The estimate of x0 that is guided to.
  ///
  /// - Parameters:
  ///   - unconditional: is only asked for where w is not 0.
  public static func estimate<V: Vector>(
    weight: Double, conditional: V, unconditional: () throws -> V
  ) rethrows -> V {
    weight == 0 ? conditional : V.combine(1 + weight, conditional, -weight, try unconditional())
  }
}

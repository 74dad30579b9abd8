import RealModule

/// Which of the T timesteps a sampler with fewer steps visits (the first two: Song et al. 2020,
/// appendix D.2).
public enum Spacing: String, CaseIterable, Sendable {
  /// Equal distances.
  case uniform

  /// Distances that grow with the noise, so that more steps are spent near the data.
  case quadratic

  /// Equal distances of (σ/α)^(1/7), from the first timestep's to that paper's largest, 80, or the
  /// last one's if that is less; but in place of the largest stands the last timestep, however noisy
  /// (Karras et al. 2022, eq. 5 with ρ = 7).
  case edm
}

extension NoiseSchedule {
  /// Exactly `count` distinct timesteps, from `first` down to 0: In 1...first + 1; one alone is `first`.
  ///
  /// - Parameter first: In 0..<T; T-1 if not given.
  public func timesteps(
    count N: Int, spacing: Spacing = .uniform, from first: Int? = nil
  ) throws(DiffusionError) -> [Int] {
    let first = first ?? steps - 1
    try check("the timestep to start from", first, in: 0...steps - 1)
    try check("the number of sampling steps", N, in: 1...first + 1)
    guard N > 1 else { return [first] }
    var ascending = [0]
    for i in 1..<N {
      // Where the curve is flat, neighbours round to the same step and have to be pushed apart;
      // enough are left for those that follow.
      let apart = max(position(i, of: N, spacing, from: first), ascending[i - 1] + 1)
      ascending.append(min(apart, first + 1 - N + i))
    }
    return ascending.reversed()
  }

  /// The levels of those timesteps and, after them, `.clean`: the way of a sampler in `count`
  /// steps.
  public func levels(
    count N: Int, spacing: Spacing = .uniform, from first: Int? = nil
  ) throws(DiffusionError) -> [Level] {
    try timesteps(count: N, spacing: spacing, from: first).map(level) + [.clean]
  }
}

extension NoiseSchedule {
  /// The timestep of the i-th of N places, from timestep 0, i = 0, to the greatest, `first`.
  private func position(_ i: Int, of N: Int, _ spacing: Spacing, from first: Int) -> Int {
    switch spacing {
    case .uniform: return rounded(first * i, by: N - 1)
    case .quadratic: return rounded(first * i * i, by: (N - 1) * (N - 1))
    case .edm:
      guard i < N - 1 else { return first }
      func root(_ level: Level) -> Double { .root(level.sigma / level.alpha, 7) }
      let (low, high) = (root(level(0)), min(root(level(first)), .root(80, 7)))
      let ratio = Double.pow(low + (high - low) * Double(i) / Double(N - 1), 7)
      return Int(level(noiseShare: ratio / (1 + ratio)).timestep.rounded())
    }
  }
}

/// The quotient, with halves to even, as numpy rounds a linspace.
///
/// Of integers, because a quotient that is almost a half must not depend on floating point.
private func rounded(_ numerator: Int, by denominator: Int) -> Int {
  let (quotient, remainder) = numerator.quotientAndRemainder(dividingBy: denominator)
  let roundsUp =
    2 * remainder > denominator || (2 * remainder == denominator && !quotient.isMultiple(of: 2))
  return roundsUp ? quotient + 1 : quotient
}

/// Which of the T timesteps a sampler with fewer steps visits (Song et al. 2020, appendix D.2).
public enum Spacing: String, CaseIterable, Sendable {
  /// Equal distances.
  case uniform

  /// Distances that grow with the noise, so that more steps are spent near the data.
  case quadratic
}

extension NoiseSchedule {
  /// Exactly `count` distinct timesteps, from T-1 down to 0: In 1...T; one alone is T-1.
  public func timesteps(
    count N: Int, spacing: Spacing = .uniform
  ) throws(DiffusionError) -> [Int] {
    try check("the number of sampling steps", N, in: 1...steps)
    guard N > 1 else { return [steps - 1] }
    var ascending = [0]
    for i in 1..<N {
      // Where the curve is flat, neighbours round to the same step and have to be pushed apart.
      // That never passes T-1: the curve is convex, so nowhere is it more than T-N above i.
      ascending.append(max(spacing.position(i, of: N, last: steps - 1), ascending[i - 1] + 1))
    }
    return ascending.reversed()
  }

  /// The levels of those timesteps and, after them, `.clean`: the way of a sampler in `count`
  /// steps.
  public func levels(
    count N: Int, spacing: Spacing = .uniform
  ) throws(DiffusionError) -> [Level] {
    try timesteps(count: N, spacing: spacing).map(level) + [.clean]
  }
}

extension Spacing {
  /// `last·(i/(N-1))^p`, p = 1 or 2, rounded with halves to even, as numpy rounds a linspace.
  ///
  /// Integers, because a quotient that is almost a half must not depend on floating point.
  fileprivate func position(_ i: Int, of N: Int, last: Int) -> Int {
    let (i, n) = self == .uniform ? (i, N - 1) : (i * i, (N - 1) * (N - 1))
    let (quotient, remainder) = (last * i).quotientAndRemainder(dividingBy: n)
    let roundsUp = 2 * remainder > n || (2 * remainder == n && !quotient.isMultiple(of: 2))
    return roundsUp ? quotient + 1 : quotient
  }
}

/// Sampling from a consistency model: a function f that takes a sample at any level to the clean end
/// of its path of the probability-flow ODE (Song et al. 2023, "Consistency Models", algorithm 1).
///
/// f of clean data is the data; elsewhere it is what a network says of x0. That is the first form that
/// the paper has for its boundary condition (eq. 4). The second, a skip connection that fades in near
/// the boundary (eq. 5), asks a network that has learnt to denoise for something else: to take away
/// the noise that the skip lets through.
///
/// - Parameters:
///   - start: a sample at the first level, usually pure noise.
///   - levels: from noise to data; the last is `.clean`.
///   - denoise: f of a sample at a level; asked at all levels but the last.
///   - noise: fresh `N(0, I)` for a step, counted from 0; the last step needs none.
/// - Returns: a sample at the last level.
public func consistencySampling<V: Vector>(
  from start: V, through levels: [Level], denoise: (V, Level) throws -> V,
  noise: (Int) throws -> V
) rethrows -> V {
  var x = start
  for (i, (level, next)) in zip(levels, levels.dropFirst()).enumerated() {
    let x0 = try denoise(x, level)
    x = next.variance == 0 ? x0 : .combine(next.alpha, x0, next.sigma, try noise(i))
  }
  return x
}

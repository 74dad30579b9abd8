/// Annealed Langevin dynamics (Song & Ermon 2019, algorithm 1): at each level some steps
/// `u ← u + ½ a s + √a z` for u = x/α, a sample with the noise σ/α alone, and its score s. From level
/// to level u stays as it is.
///
/// a is in proportion to the noise's variance, `a = r (σ/α)²`, and `s = (x0 - u)/(σ/α)²`, so that a
/// step is `x ← (1 - r/2) x + r/2 α x0 + √r σ z`. u needs many steps to follow levels that are far
/// apart, and what has no limit at pure noise goes on from there as it is.
///
/// - Parameters:
///   - start: a sample at the first level, usually pure noise.
///   - levels: from noise to data; `NoiseSchedule.levels` gives them and ends with `.clean`.
///   - steps: at each level: In 0...1000.
///   - stepSize: r, the paper's ε/σ_L² (there 0.2): In 0...2.
///   - denoise: the estimate of x0 for a sample at a level, clipped or not; asked once a step, and
///     once more for `.clean`.
///   - noise: fresh `N(0, I)` for an index from 0 up, which no two uses share.
/// - Returns: a sample at the last level. The step into `.clean` returns x0, where algorithm 1 ends
///   with the noise of the level before.
public func annealedLangevin<V: Vector>(
  from start: V, through levels: [Level], steps: Int, stepSize r: Double,
  denoise: (V, Level) throws -> V, noise: (Int) throws -> V
) throws -> V {
  try check("steps", steps, in: 0...1000)
  try check("stepSize", r, in: 0...2)
  var x = start
  for (i, level) in levels.enumerated() {
    if i > 0 {
      let before = levels[i - 1]
      guard level.variance > 0 else { return try denoise(x, before) }
      if before.alphaBar > 0 { x = .combine(level.alpha / before.alpha, x, 0, x) }
    }
    for k in 0..<steps {
      let x0 = try denoise(x, level)
      let z = try noise(i * steps + k)
      x = .combine(r / 2 * level.alpha, x0, 1 - r / 2, x, r.squareRoot() * level.sigma, z)
    }
  }
  return x
}

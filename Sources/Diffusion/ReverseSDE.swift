/// Euler–Maruyama on the reverse SDE `dx = -½ β x dt - β s dt + √β dw` (Song et al. 2021, eq. 6 for
/// eq. 11): `x' = (1 + β/2) x + β s + √β z` with the score s.
///
/// β of a step is `1 - ᾱ/ᾱ'`, the integral of β dt but for terms of its square, and bounded.
///
/// - Parameters:
///   - start: a sample at the first level, usually pure noise.
///   - levels: from noise to data; `NoiseSchedule.levels` gives them and ends with `.clean`.
///   - denoise: the estimate of x0 for a sample at a level, clipped or not; asked once a step.
///   - noise: fresh `N(0, I)` for a step, counted from 0; not asked for the step into `.clean`.
/// - Returns: a sample at the last level. The step into `.clean` returns x0.
public func eulerMaruyama<V: Vector>(
  from start: V, through levels: [Level], denoise: (V, Level) throws -> V,
  noise: (Int) throws -> V
) rethrows -> V {
  try walk(from: start, through: levels, denoise: denoise, noise: noise) {
    Transition(reverseFrom: $0, to: $1) { 1 + $0 / 2 }
  }
}

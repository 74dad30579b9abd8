/// PLMS, pseudo linear multistep sampling (Liu et al. 2022, eq. 11 and 12): the steps of DDIM, with ε
/// mixed of its last four estimates as in the method of Adams and Bashforth. Order 2, one
/// evaluation a step.
///
/// The first three steps mix as many estimates as there are, where the paper has Runge–Kutta's.
///
/// - Parameters:
///   - start: a sample at the first level, usually pure noise.
///   - levels: from noise to data, in equal distances of some time; `NoiseSchedule.levels` gives
///     them and ends with `.clean`.
///   - denoise: the estimate of x0 for a sample at a level, clipped or not.
/// - Returns: a sample at the last level. The step into `.clean` returns x0 as it is.
public func plms<V: Vector>(
  from start: V, through levels: [Level], denoise: (V, Level) throws -> V
) rethrows -> V {
  let weights: [[Double]] = [
    [1], [3 / 2, -1 / 2], [23 / 12, -16 / 12, 5 / 12], [55 / 24, -59 / 24, 37 / 24, -9 / 24],
  ]
  var x = start
  var epsilons: [V] = []  // the newest first
  for (level, next) in zip(levels, levels.dropFirst()) {
    let x0 = try denoise(x, level)
    guard next.variance > 0 else { return x0 }
    let epsilon = V.combine(1 / level.sigma, x, -level.alpha / level.sigma, x0)
    epsilons = [epsilon] + epsilons.prefix(3)
    x = Transition(deterministicFrom: level, to: next)(x, x0)
    guard epsilons.count > 1 else { continue }
    // What DDIM makes of another ε: (σ' - α' σ/α) of the difference.
    let change = next.sigma - next.alpha * level.sigma / level.alpha
    let mixed = zip(weights[epsilons.count - 1], epsilons).map { (change * $0, $1) }
    x = .combination([(1, x), (-change, epsilon)] + mixed)
  }
  return x
}

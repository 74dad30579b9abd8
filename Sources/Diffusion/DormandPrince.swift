import RealModule

/// The probability-flow ODE to a tolerance: the pair of orders 5 and 4 of Dormand & Prince (1980),
/// as in Song et al. 2021, appendix D.4, with steps that adapt.
///
/// Its time is a level's noise share, as in ``heun(from:through:churn:corrects:level:denoise:noise:)``.
/// A value of several samples takes the same steps for all of them: to keep one from depending on its
/// company, let it go alone.
///
/// - Parameters:
///   - start: a sample at the first level, usually pure noise.
///   - levels: from noise to data. Only the first one and the last one with noise count, and whether
///     `.clean` follows, into which the step is x0.
///   - tolerance: the largest error of a step, relative to the norm of the sample: In 1e-14...1.
///   - level: that of a noise share, `NoiseSchedule.level(noiseShare:)`.
///   - denoise: the estimate of x0 for a sample at a level, clipped or not; asked once, and then six
///     times in a step, taken or refused.
/// - Returns: a sample at the last level.
/// - Throws: `DiffusionError` when 10000 steps do not suffice.
public func dormandPrince<V: Vector>(
  from start: V, through levels: [Level], tolerance: Double,
  level: (Double) -> Level, denoise: (V, Level) throws -> V
) throws -> V {
  try check("tolerance", tolerance, in: 1e-14...1)
  guard let first = levels.first, let last = levels.last(where: { $0.variance > 0 }) else {
    return start
  }
  let end = last.noiseShare
  var tau = first.noiseShare
  var y = V.combine(1 / (first.alpha + first.sigma), start, 0, start)  // x/(α + σ)
  func slope(_ y: V, _ level: Level) throws -> V {
    let x = V.combine(level.alpha + level.sigma, y, 0, y)
    return level.slope(x, try denoise(x, level))
  }
  var slopes = [try slope(y, first)]
  var step = 0.1
  var trials = 0
  while tau > end {
    trials += 1
    guard trials <= 10_000 else {
      throw DiffusionError(
        description: "a tolerance of \(tolerance) is not met in 10000 steps; take a larger one.")
    }
    // A little more than a step is one, too: what rounding leaves must not become the last one.
    let isLast = tau - end < 1.001 * step
    if isLast { step = tau - end }
    var ahead = y
    for (node, row) in zip(nodes, rows) {
      ahead = .combination([(1, y)] + zip(row, slopes).map { (-step * $0, $1) })
      slopes.append(try slope(ahead, isLast && node == 1 ? last : level(tau - node * step)))
    }
    let error = V.combination(zip(errors, slopes).map { (step * $0, $1) }).norm
    let share = ratio(error, tolerance * max(y.norm, ahead.norm))
    if share <= 1 {
      (y, tau) = (ahead, isLast ? end : tau - step)
      slopes = [slopes[6]]
    } else {
      slopes = [slopes[0]]
    }
    // The error is of order 5 in the step. From a fifth to five times as long, and a little less
    // than what would just do; in this order of arguments it is a fifth for a NaN.
    step *= max(0.2, min(0.9 * .pow(share, -0.2), 5))
  }
  // y = (1 - τ) x0 + τ ε, and the slope is ε - x0.
  guard levels.last?.variance == 0 else { return .combine(last.alpha + last.sigma, y, 0, y) }
  return .combine(1, y, -end, slopes[0])
}

// The tableau: where in a step slopes are taken, and of which of those before. Its last row is the
// step itself, so that the last slope is the next step's first.
private let nodes: [Double] = [1 / 5, 3 / 10, 4 / 5, 8 / 9, 1, 1]
private let rows: [[Double]] = [
  [1 / 5],
  [3 / 40, 9 / 40],
  [44 / 45, -56 / 15, 32 / 9],
  [19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729],
  [9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656],
  [35 / 384, 0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84],
]

/// The step's weights less those of the embedded method of order 4.
private let errors: [Double] = [
  71 / 57600, 0, -71 / 16695, 71 / 1920, -17253 / 339_200, 22 / 525, -1 / 40,
]

/// UniPC-2, of order 3 with one evaluation a step (Zhao et al. 2023, in its form for x0).
///
/// The predictor carries x0 on as a polynomial of λ through its last two estimates; what is found
/// at the predicted sample makes the corrector's polynomial, through three. That estimate also is
/// the next step's: the corrected sample is not asked again. The weights solve the paper's
/// conditions exactly, so that its B(h) cancels.
///
/// - Parameters:
///   - start: a sample at the first level, usually pure noise.
///   - levels: from noise to data; `NoiseSchedule.levels` gives them and ends with `.clean`.
///   - denoise: the estimate of x0 for a sample at a level, clipped or not.
/// - Returns: a sample at the last level. The step into `.clean` returns x0 as it is.
public func uniPC<V: Vector>(
  from start: V, through levels: [Level], denoise: (V, Level) throws -> V
) rethrows -> V {
  guard let first = levels.first, levels.count > 1 else { return start }
  var x = start
  var estimates = [Estimate(first, try denoise(x, first))][...]
  for (level, next) in zip(levels, levels.dropFirst()) {
    let predicted = exponentialStep(x, from: level, to: next, through: estimates.suffix(2))
    guard next.variance > 0 else { return predicted }
    estimates = estimates.suffix(2) + [Estimate(next, try denoise(predicted, next))]
    x = exponentialStep(x, from: level, to: next, through: estimates)
  }
  return x
}

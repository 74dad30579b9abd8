import RealModule

/// DPM-Solver++ (2M), of order 2 with one evaluation a step (Lu et al. 2022b, "DPM-Solver++",
/// algorithm 2), or its form for the reverse SDE, SDE-DPM-Solver++ (2M) of the same paper.
///
/// Both are a sampler of order 1, DDIM or the ancestral one, which is given in place of x0 the
/// straight line through the last two of them, halfway through the step in λ.
///
/// - Parameters:
///   - start: a sample at the first level, usually pure noise.
///   - levels: from noise to data; `NoiseSchedule.levels` gives them and ends with `.clean`.
///   - stochastic: whether to solve the SDE.
///   - denoise: the estimate of x0 for a sample at a level, clipped or not.
///   - noise: fresh `N(0, I)` for a step, counted from 0; asked by the SDE's form only.
/// - Returns: a sample at the last level. The step into `.clean` returns x0 as it is.
public func dpmSolver2M<V: Vector>(
  from start: V, through levels: [Level], stochastic: Bool = false,
  denoise: (V, Level) throws -> V, noise: (Int) throws -> V
) rethrows -> V {
  var i = 0
  var last: V?
  return try walk(from: start, through: levels) { x, level in
    let x0 = try denoise(x, level)
    defer { (last, i) = (x0, i + 1) }
    guard let last, levels[i + 1].variance > 0 else { return x0 }
    let h = levels[i + 1].lambda - level.lambda
    let correction = h / (level.lambda - levels[i - 1].lambda) / 2  // 1/(2r), 0 after pure noise
    return .combine(1 + correction, x0, -correction, last)
  } noise: {
    try noise($0)
  } transition: {
    stochastic
      ? Transition(ancestralFrom: $0, to: $1, variance: .small)
      : Transition(deterministicFrom: $0, to: $1)
  }
}

/// DPM-Solver++ (2S), of order 2 with two evaluations a step (Lu et al. 2022b, algorithm 1 with
/// r = ½): DDIM to the middle of the step in λ, then over the whole of it with what is found there.
///
/// Steps at whose ends λ is infinite have no middle: that from pure noise is DDIM, and that into
/// `.clean` returns x0. Both ask once.
///
/// - Parameters:
///   - start: a sample at the first level, usually pure noise.
///   - levels: from noise to data; `NoiseSchedule.levels` gives them and ends with `.clean`.
///   - level: that of a noise share, `NoiseSchedule.level(noiseShare:)`.
///   - denoise: the estimate of x0 for a sample at a level, clipped or not.
/// - Returns: a sample at the last level.
public func dpmSolver2S<V: Vector>(
  from start: V, through levels: [Level], level: (Double) -> Level,
  denoise: (V, Level) throws -> V
) rethrows -> V {
  var x = start
  for (current, next) in zip(levels, levels.dropFirst()) {
    var x0 = try denoise(x, current)
    if current.alphaBar > 0, next.variance > 0 {
      let middle = level(1 / (1 + .exp((current.lambda + next.lambda) / 2)))
      x0 = try denoise(Transition(deterministicFrom: current, to: middle)(x, x0), middle)
    }
    x = Transition(deterministicFrom: current, to: next)(x, x0)
  }
  return x
}

/// The exact exponential multistep method: x0 as a polynomial of λ through the last `order` of its
/// estimates in proposition 4.1 (Lu et al. 2022b). Order 1 is DDIM, 2 a 2M, and 3 DPM-Solver++ (3M).
///
/// - Parameters:
///   - start: a sample at the first level, usually pure noise.
///   - levels: from noise to data; `NoiseSchedule.levels` gives them and ends with `.clean`.
///   - order: In 1...3. The first step has one estimate to go through, the second one two. Of order
///     3, where the former would cost an order, the first step is taken anew through two.
///   - denoise: the estimate of x0 for a sample at a level, clipped or not; asked once a step.
/// - Returns: a sample at the last level. The step into `.clean` returns x0 as it is.
public func dpmSolverMultistep<V: Vector>(
  from start: V, through levels: [Level], order: Int, denoise: (V, Level) throws -> V
) throws -> V {
  try check("order", order, in: 1...3)
  var x = start
  var estimates: ArraySlice<Estimate<V>> = []
  for (i, (level, next)) in zip(levels, levels.dropFirst()).enumerated() {
    estimates = estimates.suffix(order - 1) + [Estimate(level, try denoise(x, level))]
    if order == 3, i == 1 {
      x = exponentialStep(start, from: levels[0], to: level, through: estimates)
    }
    x = exponentialStep(x, from: level, to: next, through: estimates)
  }
  return x
}

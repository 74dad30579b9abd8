import Diffusion

extension SamplingSettings {
  /// The way from noise to data by the chosen sampler; the arguments are those of all samplers.
  ///
  /// - Parameter estimate: for ``choosesVariance``.
  func draw<V: Vector>(
    from start: V, through levels: [Level], level: (Double) -> Level,
    uncertainty: (Level) -> Double, denoise: (V, Level) throws -> V,
    estimate: (V, Level) throws -> (x0: V, v: V), noise: (Int) throws -> V
  ) throws -> V {
    switch sampler {
    case .ddim:
      try ddim(from: start, through: levels, eta: eta, denoise: denoise, noise: noise)
    case .ddpm where variance == .learned:
      try ancestral(from: start, through: levels, estimate: estimate, noise: noise)
    case .ddpm:
      try ancestral(
        from: start, through: levels, variance: variance, uncertainty: uncertainty,
        denoise: denoise, noise: noise)
    case .euler, .heun:
      try heun(
        from: start, through: levels, churn: churn, corrects: sampler == .heun, level: level,
        denoise: denoise, noise: noise)
    case .dpmSolver2S:
      try dpmSolver2S(from: start, through: levels, level: level, denoise: denoise)
    case .dpmSolver2M, .dpmSolver2MSDE:
      try dpmSolver2M(
        from: start, through: levels, stochastic: sampler == .dpmSolver2MSDE, denoise: denoise,
        noise: noise)
    case .dpmSolver3M:
      try dpmSolverMultistep(from: start, through: levels, order: 3, denoise: denoise)
    case .uniPC:
      try Diffusion.uniPC(from: start, through: levels, denoise: denoise)
    case .plms:
      try Diffusion.plms(from: start, through: levels, denoise: denoise)
    case .reverseSDE:
      try eulerMaruyama(from: start, through: levels, denoise: denoise, noise: noise)
    case .predictorCorrector:
      try predictorCorrector(
        from: start, through: levels, predictor: predictor, corrections: corrections,
        signalToNoise: snr, denoise: denoise, noise: noise)
    case .langevin:
      try annealedLangevin(
        from: start, through: levels, steps: corrections, stepSize: stepSize, denoise: denoise,
        noise: noise)
    case .rk45:
      try dormandPrince(
        from: start, through: levels, tolerance: tolerance, level: level, denoise: denoise)
    case .consistency:
      try consistencySampling(from: start, through: levels, denoise: denoise, noise: noise)
    }
  }
}

extension SamplingSettings.Sampler {
  /// Whether the number of steps is given: not where a tolerance decides.
  public var countsSteps: Bool { self != .rk45 }
}

extension SamplingSettings {
  /// Whether it must be known how far off the denoiser is.
  var needsPosteriorVariance: Bool { sampler == .ddpm && variance == .analytic }

  /// Whether the network must choose the variance.
  var choosesVariance: Bool { sampler == .ddpm && variance == .learned }

  /// The levels on the way from noise, or from the timestep `first`, to data.
  ///
  /// - Parameter learnt: levels that a consistency model has learnt.
  func levels(
    of schedule: NoiseSchedule, from first: Int? = nil, learnt: Int
  ) throws -> [Level] {
    let last = first ?? schedule.steps - 1
    switch sampler {
    case .consistency:
      let known = try schedule.timesteps(count: learnt).filter { $0 <= last }
      guard steps <= known.count, spacing == .uniform else {
        throw UserError(
          "a consistency model takes 1...\(known.count) steps here, among the levels that it learnt, "
            + "and no spacing but uniform")
      }
      return (0..<steps).map { schedule.level(known[$0 * known.count / steps]) } + [.clean]
    case .rk45:
      // From the first timestep it is one step to the data.
      return [schedule.level(last)] + (last == 0 ? [] : [schedule.level(0)]) + [.clean]
    default:
      guard steps <= last + 1 || first == nil else {
        throw UserError(
          "\(steps) steps are more than the \(last + 1) timesteps from the image's noise on: give fewer"
        )
      }
      return try schedule.levels(count: steps, spacing: spacing, from: first)
    }
  }
}

import Formats
import Neural

/// The loop in which every stage is trained, and what its end writes.
extension Training {
  /// The life of one stage: updates, and on the way a log, checkpoints and grids.
  ///
  /// - Parameters:
  ///   - test: held-out examples.
  ///   - validation: others, by which weights are chosen; nil for the last weights.
  ///   - constants: what the file of a finished stage has besides the weights, but for a VAE's.
  ///   - parts: the networks that files are written of, in this order; the whole if nil.
  ///   - model: what grids are drawn with.
  func train<Goal: Objective>(
    _ trainer: inout Trainer<Goal>, _ stage: Stage, test: (any Examples)?,
    validation: (any Examples)? = nil,
    constants: (Goal.Network) throws -> [String: Tensor] = { _ in [:] },
    parts: ((Goal.Network) -> [(stage: Stage, network: any Parameterized)])? = nil,
    model: (Goal.Network) throws -> Model
  ) throws -> Bool {
    let title = configuration.title(of: stage)
    // Without derivatives an image takes about a third of the time that training on it does.
    let looks =
      (test?.count ?? 0) + (validation?.count ?? 0)
      + 64 * (stage == .denoiser ? configuration.sampling.steps : 1)
    var log = try StageLog(
      run, stage, trainer, title: title,
      interludes: .init(
        count: configuration.training.grids, images: Double(looks) / 3,
        // Of each parameter its value, two moments and the average, which may be kept as the best, too.
        bytes: (validation == nil ? 16 : 20)
          * configuration.trainedFootprint(of: stage, shape: data.shape).parameters))
    let clock = ContinuousClock()
    var saved = clock.now
    // What a training that has come to nothing may have left.
    if trainer.step == 0 { try run.remove(run.bestFile(stage)) }
    var least = try validation.map { _ in try leastLoss(of: stage) }
    let policy = configuration.training.onNonfinite
    var failures = 0  // In a row; ten are the end.
    /// Whether training goes on after numbers that are not finite.
    func goesOn(after divergence: Divergence, _ trainer: inout Trainer<Goal>) throws -> Bool {
      failures += 1
      let isCured = policy == .rollback || policy == .skip && !divergence.isOfWeights
      guard isCured, failures < 10 else { return false }
      log.pause()
      logger.warning("\(title): \(divergence); \(policy)")
      if policy == .rollback { try rollBack(&trainer, stage) }
      if !divergence.isOfWeights { trainer.skip() }
      return true
    }
    if policy == .rollback, trainer.step == 0 { try checkpoint(trainer, stage) }
    while !trainer.isFinished {
      let isGridDue = isGridDue(after: trainer.step + 1, of: trainer.totalSteps)
      do {
        let report = try trainer.advance()
        failures = 0
        try log.record(
          report.terms, norm: report.norm, rate: report.rate, step: trainer.step,
          epoch: trainer.epoch)
      } catch {
        let divergence = error as? Divergence
        if try divergence.map({ try goesOn(after: $0, &trainer) }) != true {
          // The weights are those after the last step that did not fail. Where it is the log that fails, they
          // may still have to be looked at.
          log.pause()
          do {
            if divergence != nil || least == nil || !isGridDue { try checkpoint(trainer, stage) }
          } catch {
            logger.warning("\(title): step \(trainer.step) is lost: \(error)")
          }
          throw divergence?.error ?? error
        }
      }

      // The checkpoint before the grid, which may fail.
      let began = clock.now
      let isDue = configuration.training.checkpointSteps.map { trainer.step.isMultiple(of: $0) }
      if mustStop || isGridDue || isDue == true || trainer.isFinished
        || clock.now - saved > .seconds(300)
      {
        do {
          // But after this: who goes on from it does not look at these weights again.
          if isGridDue, let validation, let loss = least {
            let terms = try trainer.evaluate(on: validation)
            try log.record(terms, of: "validation", step: trainer.step)
            if terms[0] < loss {
              try keep(trainer.network.averaged, stage, loss: terms[0], step: trainer.step)
              least = terms[0]
            }
          }
          try checkpoint(trainer, stage)
          saved = clock.now
        } catch let divergence as Divergence {
          log.pause()
          guard try goesOn(after: divergence, &trainer) else { throw divergence.error }
        }
      }
      if isGridDue {
        if let test {
          try log.record(trainer.evaluate(on: test), of: "test", step: trainer.step)
        }
        try drawGrid(try model(trainer.network.averaged), stage, step: trainer.step)
        log.recordInterlude(clock.now - began)
      }
      if mustStop && !trainer.isFinished {
        log.pause()
        logger.notice("\(title): stopped after step \(trainer.step) of \(trainer.totalSteps)")
        return false
      }
    }
    log.pause()
    var averaged = trainer.network.averaged
    let step = try least.flatMap { _ in try takeBest(&averaged, stage) } ?? trainer.step
    if let test {
      report(try trainer.evaluate(on: test, by: averaged), stage, images: test.count)
    }
    try finish(
      stage, step: step, constants: constants(averaged),
      parts: parts?(averaged) ?? [(stage, averaged)])
    return true
  }

  /// Grids come after the updates total/grids, 2·total/grids, …, total.
  private func isGridDue(after step: Int, of total: Int) -> Bool {
    let grids = configuration.training.grids
    return step * grids / total > (step - 1) * grids / total
  }

  /// Says what a stage came to: the loss's terms on so many test images.
  private func report(_ terms: [Double], _ stage: Stage, images: Int) {
    let report =
      switch stage {
      case .vae:
        // The last two are, whatever else is trained with it.
        """
        ELBO of the test images\(configuration.vae.binarise.remark) \
        \((-terms.suffix(2).reduce(0, +)).digits(2)) nats: \
        reconstruction \((-terms[terms.count - 2]).digits(2)), \
        divergence \(terms[terms.count - 1].digits(2))\
        \(configuration.vae.boundRemark(-terms[0]))\
        \(configuration.trainsTogether ? "; loss of stage two \(terms[1].digits(5))" : "")
        """
      case .prior, .denoiser: "loss on the test images \(terms[0].digits(5))"
      case .consistency: "loss on \(images) test images \(terms[0].digits(5))"
      }
    logger.info("\(configuration.title(of: stage)): \(report)")
  }

  /// Writes the weights of a stage, those after `step`, and drops its state.
  private func finish(
    _ stage: Stage, step: Int, constants: [String: Tensor],
    parts: [(stage: Stage, network: any Parameterized)]
  ) throws {
    for (part, network) in parts {
      var metadata = metadata(part)
      metadata["step"] = String(step)
      let file = Weights.file(of: network, part == .vae ? [:] : constants, metadata: metadata)
      try check(finite: file, step: step)
      try file.write(to: run.weightsFile(part))
    }
    try run.removeState(stage)
  }

  /// 64 images, of the same latents and noises every time.
  private func drawGrid(_ model: Model, _ stage: Stage, step: Int) throws {
    var options = SamplingOptions(configuration.sampling, threads: threads)
    options.seed = configuration.training.seed
    // What a run's images are drawn by may still have to be trained; one step shows a
    // consistency model.
    if stage == .consistency {
      (options.sampler, options.steps, options.guidanceWeight) = (.consistency, 1, 0)
      options.spacing = .uniform
    } else if options.sampler == .consistency {
      options.sampler = .ddim
    }
    let generator = try Generator(model, options)
    let isWhole = model.denoiser != nil || model.consistency != nil
    let images =
      try isWhole ? generator.images(0..<64) : generator.reconstructions(0..<64)
    try ImageOutput.sheet(run.gridFile(stage, step: step)).write(images, shape: data.shape)
  }
}

import Formats
import Logging
import Neural

/// The training of a run: stage one, the prior and stage two one after the other, or both stages and then
/// the prior, each from its last checkpoint.
public struct Training {
  public let run: Run
  let configuration: Configuration
  let data: Dataset
  let fingerprint: String
  let threads: Int
  let logger: Logger
  /// When to stop after a step and write a checkpoint, as when interrupted.
  private let deadline: ContinuousClock.Instant?
  private let command: [String]

  /// - Parameters:
  ///   - time: how long training may go on; nil for as long as it takes.
  ///   - command: the words that were typed, for the run's record; none for no record.
  public init(
    _ run: Run, _ configuration: Configuration, data: Dataset, threads: Int, logger: Logger,
    time: Duration? = nil, command: [String] = []
  ) {
    self.command = command
    deadline = time.map { ContinuousClock.now + $0 }
    self.run = run
    self.configuration = configuration
    self.data = data
    fingerprint = data.fingerprint(labelled: configuration.classes > 0)
    self.threads = threads
    self.logger = logger
  }

  /// Trains the stages that are wanted and not finished yet.
  ///
  /// - Returns: false when it was interrupted, or its time was over; a checkpoint is then written.
  public func train(_ stages: [Stage]) throws -> Bool {
    try configuration.checkLabels(data)
    try run.makeFolders()
    let lock = try RunLock(run)
    defer { withExtendedLifetime(lock) {} }
    run.removeTemporaries()
    if !command.isEmpty { try run.record(command: command, threads: threads) }
    for stage in stages {
      if run.isFinished(stage) { continue }
      if Interruption.isRequested { return false }
      let finished =
        switch stage {
        case .vae: try configuration.trainsTogether ? trainBoth() : trainVAE()
        case .prior: try fitPrior()
        case .denoiser: try trainDenoiser(configuration.denoiser.kind.network)
        case .consistency: try trainConsistency(configuration.denoiser.kind.network)
        }
      guard finished else { return false }
    }
    return true
  }

  /// Asked after an update, so that every call of ``train(_:)`` gets on, however short its time.
  private var mustStop: Bool {
    Interruption.isRequested || deadline.map { $0 <= .now } ?? false
  }

  private func trainVAE() throws -> Bool {
    let seed = Stage.vae.seed(configuration.training.seed)
    if configuration.vae.binarise != .none {
      logger.info("stage one: sees images\(configuration.vae.binarise.remark)")
    }
    var trainer = try trainer(
      VAEObjective(configuration.vae), VAE(configuration.vae, pixels: data.shape.count, seed: seed),
      .vae,
      on: data.training)
    return try train(&trainer, .vae, test: data.test) { trainer in
      try Model(
        configuration, shape: data.shape, vae: trainer.network.averaged, denoiser: nil)
    }
  }

  /// Both networks at once, as the first stage.
  private func trainBoth() throws -> Bool {
    guard let network = configuration.denoiser.kind.network as? any LearnedDenoiser.Type else {
      throw UserError("denoiser.kind \(configuration.denoiser.kind) learns nothing")
    }
    return try trainBoth(network)
  }

  private func trainBoth<Network: LearnedDenoiser>(_: Network.Type) throws -> Bool {
    let seed = Stage.vae.seed(configuration.training.seed)
    let objective = try JointObjective<Network>(configuration)
    var trainer = try trainer(
      objective,
      BothNetworks(
        VAE(configuration.vae, pixels: data.shape.count, seed: seed),
        Network(configuration, shape: data.shape)), .vae, on: data.training)
    func variance(_ networks: BothNetworks<Network>) throws -> PosteriorVariance {
      try posteriorVariance(networks.denoiser, objective.second.process, networks.vae)
    }
    return try train(&trainer, .vae, test: data.test) {
      try variance($0.network.averaged).tensors
    } parts: {
      // The one by which the stage counts as finished comes last.
      [(.denoiser, $0.denoiser), (.vae, $0.vae)]
    } model: {
      let networks = $0.network.averaged
      return try Model(
        configuration, shape: data.shape, vae: networks.vae, denoiser: networks.denoiser,
        posteriorVariance: configuration.sampling.needsPosteriorVariance
          ? variance(networks) : nil)
    }
  }

  private func posteriorVariance(
    _ network: some Denoiser, _ process: DiffusionProcess, _ vae: VAE?
  ) throws -> PosteriorVariance {
    // No more images at a time than an update has.
    let lanes = configuration.training.lanes
    return try PosteriorVariance(
      of: network, process, vae: vae, on: data.training,
      seed: Stage.denoiser.seed(configuration.training.seed), threads: min(threads, lanes),
      together: configuration.training.denoiser.batch / lanes)
  }

  private func trainDenoiser<Network: ConfiguredDenoiser>(_: Network.Type) throws -> Bool {
    guard !configuration.trainsTogether else {
      throw UserError(
        "\(run.folder): has no denoiser that was trained with its VAE: to train both anew, remove "
          + "vae.safetensors and, where it is there, prior.safetensors")
    }
    let first = configuration.hasVAE ? try Model(of: run, needsDenoiser: false) : nil
    if let first { try check(first) }
    let vae = first?.vae
    let objective = try DiffusionObjective<Network>(configuration, vae: vae)
    var trainer = try trainer(
      objective, Network(configuration, shape: data.shape), .denoiser, on: data.training)
    func variance(_ network: Network) throws -> PosteriorVariance {
      try posteriorVariance(network, objective.process, vae)
    }
    return try train(&trainer, .denoiser, test: data.test) {
      try variance($0.network.averaged).tensors
    } model: {
      let network = $0.network.averaged
      return try Model(
        configuration, shape: data.shape, vae: vae, denoiser: network,
        posteriorVariance: configuration.sampling.needsPosteriorVariance
          ? variance(network) : nil,
        prior: first?.prior ?? .normal)
    }
  }

  private func trainConsistency<Network: ConfiguredDenoiser>(_: Network.Type) throws -> Bool {
    let whole = try Model(of: run)
    try check(whole)
    guard let teacher = whole.denoiser as? Network else {
      throw UserError("\(run.folder): has no stage two to make a consistency model of")
    }
    let settings = configuration.consistency
    let objective = try ConsistencyObjective(
      DiffusionObjective<Network>(configuration, vae: whole.vae),
      teacher: settings.kind == .distillation ? teacher : nil, levels: settings.levels)
    var trainer = try trainer(objective, teacher, .consistency, on: data.training)
    // Each image costs as many evaluations as its path has steps.
    let test = data.test.map { $0.chosen($0.spread(1000)) }
    return try train(&trainer, .consistency, test: test) { trainer in
      try Model(
        configuration, shape: data.shape, vae: whole.vae, denoiser: nil,
        consistency: trainer.network.averaged, prior: whole.prior)
    }
  }

  /// The life of one stage: updates, and on the way a log, checkpoints and grids.
  ///
  /// - Parameters:
  ///   - test: held-out examples.
  ///   - constants: what the file of a finished stage has besides the weights, but for a VAE's.
  ///   - parts: the networks that files are written of, in this order; the whole if nil.
  ///   - model: what grids are drawn with.
  func train<Goal: Objective>(
    _ trainer: inout Trainer<Goal>, _ stage: Stage, test: (some Examples)?,
    constants: (Trainer<Goal>) throws -> [String: Tensor] = { _ in [:] },
    parts: ((Goal.Network) -> [(stage: Stage, network: any Parameterized)])? = nil,
    model: (Trainer<Goal>) throws -> Model
  ) throws -> Bool {
    let title = configuration.title(of: stage)
    // Without derivatives an image takes about a third of the time that training on it does.
    let looks = (test?.count ?? 0) + 64 * (stage == .denoiser ? configuration.sampling.steps : 1)
    var log = try StageLog(
      run, stage, trainer, title: title,
      interludes: .init(
        count: configuration.training.grids, images: Double(looks) / 3,
        // Of each parameter its value, two moments and the average.
        bytes: 16 * configuration.trainedFootprint(of: stage, shape: data.shape).parameters))
    let clock = ContinuousClock()
    var saved = clock.now
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
          // The weights are those after the last step that did not fail.
          log.pause()
          do {
            try checkpoint(trainer, stage)
          } catch {
            logger.warning("\(title): step \(trainer.step) is lost: \(error)")
          }
          throw divergence?.error ?? error
        }
      }

      // The checkpoint first: what follows may fail.
      let began = clock.now
      let isDue = configuration.training.checkpointSteps.map { trainer.step.isMultiple(of: $0) }
      if mustStop || isGridDue || isDue == true || trainer.isFinished
        || clock.now - saved > .seconds(300)
      {
        do {
          try checkpoint(trainer, stage)
          saved = clock.now
        } catch let divergence as Divergence {
          log.pause()
          guard try goesOn(after: divergence, &trainer) else { throw divergence.error }
        }
      }
      if isGridDue {
        if let test {
          try log.recordTest(trainer.evaluate(on: test), step: trainer.step)
        }
        try drawGrid(try model(trainer), stage, step: trainer.step)
        log.recordInterlude(clock.now - began)
      }
      if mustStop && !trainer.isFinished {
        log.pause()
        logger.notice("\(title): stopped after step \(trainer.step) of \(trainer.totalSteps)")
        return false
      }
    }
    log.pause()
    let averaged = trainer.network.averaged
    try finish(
      trainer, stage, test: test, constants: constants(trainer),
      parts: parts?(averaged) ?? [(stage, averaged)])
    return true
  }

  /// Grids come after the updates total/grids, 2·total/grids, …, total.
  private func isGridDue(after step: Int, of total: Int) -> Bool {
    let grids = configuration.training.grids
    return step * grids / total > (step - 1) * grids / total
  }

  /// Refuses to go on from a finished stage with other images than it was trained on.
  func check(_ model: Model) throws {
    guard model.shape == data.shape else {
      throw UserError(
        "\(data.name): images are \(data.shape), not of the size that the run was trained on")
    }
    try check(trainedOn: model.fingerprints, run.folder)
  }

  /// What the file of a stage says of it.
  func metadata(_ stage: Stage) -> [String: String] {
    var metadata = [
      "part": stage.rawValue, "image": data.shape.description, "configuration": configuration.yaml,
      Model.fingerprintKey: fingerprint,
    ]
    if stage == .consistency { metadata[Model.answerKey] = Model.answer }
    return metadata
  }

  /// Writes the stage's weights, says what it came to, and drops its state.
  private func finish(
    _ trainer: Trainer<some Objective>, _ stage: Stage, test: (some Examples)?,
    constants: [String: Tensor], parts: [(stage: Stage, network: any Parameterized)]
  ) throws {
    if let test {
      let terms = try trainer.evaluate(on: test)
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
        case .consistency: "loss on \(test.count) test images \(terms[0].digits(5))"
        }
      logger.info("\(configuration.title(of: stage)): \(report)")
    }
    for (part, network) in parts {
      var metadata = metadata(part)
      metadata["step"] = String(trainer.step)
      let file = Weights.file(of: network, part == .vae ? [:] : constants, metadata: metadata)
      try check(finite: file, step: trainer.step)
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

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
    // Of a set that is no configuration's: there it is a rule.
    guard data.validation == nil || configuration.training.grids > 0 else {
      throw UserError("\(data.name): training.grids must be at least 1 where images are held out")
    }
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
  var mustStop: Bool {
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
    return try train(&trainer, .vae, test: data.test, validation: data.validation) {
      try Model(configuration, shape: data.shape, vae: $0, denoiser: nil)
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
    return try train(&trainer, .vae, test: data.test, validation: data.validation) {
      try variance($0).tensors
    } parts: {
      // The one by which the stage counts as finished comes last.
      [(.denoiser, $0.denoiser), (.vae, $0.vae)]
    } model: {
      try Model(
        configuration, shape: data.shape, vae: $0.vae, denoiser: $0.denoiser,
        posteriorVariance: configuration.sampling.needsPosteriorVariance ? variance($0) : nil)
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
    return try train(&trainer, .denoiser, test: data.test, validation: data.validation) {
      try variance($0).tensors
    } model: {
      try Model(
        configuration, shape: data.shape, vae: vae, denoiser: $0,
        posteriorVariance: configuration.sampling.needsPosteriorVariance ? variance($0) : nil,
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
    // Its loss tells how far two steps of a path are from each other, and little of the images.
    return try train(&trainer, .consistency, test: test) {
      try Model(
        configuration, shape: data.shape, vae: whole.vae, denoiser: nil, consistency: $0,
        prior: whole.prior)
    }
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
}

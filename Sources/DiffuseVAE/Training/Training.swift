import Formats
import Logging
import Neural

/// The training of a run: both stages one after the other, each from its last checkpoint.
public struct Training {
  public let run: Run
  let configuration: Configuration
  let data: Dataset
  let threads: Int
  let logger: Logger

  public init(
    _ run: Run, _ configuration: Configuration, data: Dataset, threads: Int, logger: Logger
  ) {
    self.run = run
    self.configuration = configuration
    self.data = data
    self.threads = threads
    self.logger = logger
  }

  /// Trains the stages that are wanted and not finished yet.
  ///
  /// - Returns: false when it was interrupted; a checkpoint is then written.
  public func train(_ stages: [Stage]) throws -> Bool {
    try run.makeFolders()
    let lock = try RunLock(run)
    defer { withExtendedLifetime(lock) {} }
    for stage in stages where !run.isFinished(stage) {
      let finished =
        switch stage {
        case .vae: try trainVAE()
        case .denoiser: try trainDenoiser(configuration.network(shape: data.shape))
        }
      guard finished else { return false }
    }
    return true
  }

  private func trainVAE() throws -> Bool {
    let seed = Stage.vae.seed(configuration.training.seed)
    let vae = VAE(configuration.vae, pixels: data.shape.count, seed: seed)
    var trainer = try trainer(VAEObjective(), vae, .vae)
    return try train(&trainer, .vae) { trainer in
      try Model(
        configuration, shape: data.shape, vae: trainer.network.averaged, denoiser: nil)
    }
  }

  private func trainDenoiser<Network: Denoiser>(_ network: Network) throws -> Bool {
    let first = configuration.hasVAE ? try Model(of: run, needsDenoiser: false) : nil
    guard first == nil || first?.shape == data.shape else {
      throw UserError(
        "\(data.name): images are \(data.shape), not of the size that stage one was trained on")
    }
    let vae = first?.vae
    let objective = DiffusionObjective<Network>(
      process: try DiffusionProcess(configuration.diffusion), vae: vae)
    var trainer = try trainer(objective, network, .denoiser)
    return try train(&trainer, .denoiser) { trainer in
      try Model(
        configuration, shape: data.shape, vae: vae, denoiser: trainer.network.averaged)
    }
  }

  /// The trainer of a stage, at its last checkpoint if there is one.
  private func trainer<Goal: Objective>(
    _ objective: Goal, _ network: Goal.Network, _ stage: Stage
  ) throws -> Trainer<Goal> {
    var (network, step) = (network, 0)
    let path = run.stateFile(stage)
    if run.has(path) {
      step = try Weights.decodeState(
        SafeTensors.read(path), into: &network, configuration: configuration, path: path)
      logger.info("\(stage.title): going on from step \(step)")
    }
    let trainer = try Trainer(
      objective, network, images: data.training, settings: configuration.settings(of: stage),
      lanes: configuration.training.lanes, seed: stage.seed(configuration.training.seed),
      threads: threads, step: step)
    guard step <= trainer.totalSteps else {
      throw FormatError(
        file: path, problem: "is of step \(step), past the last one, \(trainer.totalSteps)")
    }
    return trainer
  }

  /// The life of one stage: updates, and on the way metrics, grids and checkpoints.
  private func train<Goal: Objective>(
    _ trainer: inout Trainer<Goal>, _ stage: Stage,
    model: (Trainer<Goal>) throws -> Model
  ) throws -> Bool {
    let total = trainer.totalSteps
    let metrics = try Metrics(run, resuming: stage, at: trainer.step)
    var progress = Progress(firstStep: trainer.step)
    var means = RunningMeans(names: trainer.objective.terms + ["norm"])
    let every = max(1, min(50, total / 50))
    let grids = configuration.training.grids

    let clock = ContinuousClock()
    var saved = clock.now

    while !trainer.isFinished {
      let report: Trainer<Goal>.Report
      do {
        report = try trainer.advance()
      } catch {
        // The weights are those before the step that failed.
        progress.pause()
        try checkpoint(trainer, stage)
        throw error
      }
      means.add(report.terms + [report.norm])
      let (step, epoch) = (trainer.step, trainer.epoch)
      progress.show(step: step, total: total, batch: trainer.settings.batch) {
        "\(stage.title)  step \(step)/\(total)  epoch \(epoch.digits(1))  \(means.summary)"
      }
      if step % every == 0 || trainer.isFinished {
        var numbers = means.values
        numbers["epoch"] = epoch
        numbers["rate"] = report.rate
        numbers["images_per_second"] = progress.rate(
          step: step, batch: trainer.settings.batch)
        try metrics.append(stage: stage, step: step, numbers)
        means.reset()
      }
      // After the updates total/grids, 2·total/grids, …, total.
      let isGridDue = step * grids / total > (step - 1) * grids / total
      // First of all: what follows may fail.
      let isOld = clock.now - saved > .seconds(300)
      if Interruption.isRequested || isOld || isGridDue {
        try checkpoint(trainer, stage)
        saved = clock.now
      }
      if isGridDue {
        let held = try data.test.map { try trainer.evaluate(on: $0) } ?? []
        let numbers = zip(trainer.objective.terms, held).map { ("test_" + $0, $1) }
        if !held.isEmpty {
          try metrics.append(
            stage: stage, step: step, Dictionary(numbers) { first, _ in first })
        }
        try drawGrid(try model(trainer), stage, step: step)
      }
      if Interruption.isRequested && !trainer.isFinished {
        progress.pause()
        logger.notice(
          "\(stage.title): stopped after step \(step) of \(total), with a checkpoint")
        return false
      }
    }
    progress.pause()
    try finish(trainer, stage)
    return true
  }

  private func checkpoint(_ trainer: Trainer<some Objective>, _ stage: Stage) throws {
    try File.writeAtomically(
      Weights.encodeState(trainer.network, step: trainer.step, configuration: configuration),
      to: run.stateFile(stage))
  }

  /// Writes the stage's weights, says what it came to, and drops its state.
  private func finish(_ trainer: Trainer<some Objective>, _ stage: Stage) throws {
    if let test = data.test {
      let terms = try trainer.evaluate(on: test)
      let report =
        switch stage {
        case .vae:
          """
          ELBO of the test images \((-terms[1] - terms[2]).digits(2)) nats: \
          reconstruction \((-terms[1]).digits(2)), divergence \(terms[2].digits(2))
          """
        case .denoiser: "loss on the test images \(terms[0].digits(5))"
        }
      logger.info("\(stage.title): \(report)")
    }
    let metadata = [
      "part": stage.rawValue, "image": data.shape.description, "step": String(trainer.step),
      "configuration": configuration.yaml,
    ]
    try File.writeAtomically(
      Weights.encode(trainer.network.averaged, metadata: metadata), to: run.weightsFile(stage))
    try run.removeState(stage)
  }

  /// 64 images of fixed noise: the first 32 x̂0, and the same ones refined when there is a refiner.
  private func drawGrid(_ model: Model, _ stage: Stage, step: Int) throws {
    var options = SamplingOptions(configuration.sampling, threads: threads)
    options.seed = configuration.training.seed
    let generator = try Generator(model, options)
    let images = try stage == .vae ? generator.reconstructions(0..<64) : generator.images(0..<64)
    try ImageOutput.sheet(run.gridFile(stage, step: step)).write(images, shape: data.shape)
  }
}

extension Stage {
  var title: String { self == .vae ? "stage one" : "stage two" }
}

extension Configuration {
  /// The unconditional baseline has no first stage.
  var hasVAE: Bool { diffusion.formulation != .unconditional }

  /// The stages that there are to train.
  public var stages: [Stage] { hasVAE ? [.vae, .denoiser] : [.denoiser] }

  func settings(of stage: Stage) -> StageSettings {
    stage == .vae ? training.vae : training.denoiser
  }
}

/// Means of some numbers since the last reset.
private struct RunningMeans {
  let names: [String]
  private var sums: [Double]
  private var count = 0

  init(names: [String]) {
    self.names = names
    sums = [Double](repeating: 0, count: names.count)
  }

  mutating func add(_ numbers: [Double]) {
    sums = zip(sums, numbers).map { $0 + $1 }
    count += 1
  }

  mutating func reset() { self = RunningMeans(names: names) }

  var values: [String: Double] {
    Dictionary(zip(names, sums.map { $0 / Double(max(count, 1)) })) { first, _ in first }
  }

  var summary: String {
    zip(names, sums).map { name, sum in
      let mean = sum / Double(max(count, 1))
      return "\(name) \(mean.digits(mean < 10 ? 4 : 2))"
    }.joined(separator: "  ")
  }
}

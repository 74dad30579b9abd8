import Formats

/// What the user asks of `diffusevae-train`, and which run is meant by it.
public struct TrainingRequest {
  /// A configuration file; nil to go on with a run.
  public var configuration: String?
  /// `key.path=value`, in order.
  public var overrides: [String] = []
  /// With it goes the prior, and with the second stage its consistency model. Nil: all.
  public var stage: Stage?
  /// The run to go on with; empty for the newest unfinished one. ``automatic``: that of ``name``, or of the
  /// configuration file's, if there is one, else a new one.
  public var resume: String?
  public var name: String?
  public var runs = "runs"

  /// A value of ``resume``.
  public static let automatic = "auto"

  public init() {}

  /// Finds the run to go on with, or checks that a new one can work; nothing is written.
  ///
  /// - Throws: ``UserError``, ``ConfigurationError`` or `FormatError`.
  public func resolve(threads: Int) throws -> (
    run: Run?, configuration: Configuration, data: Dataset
  ) {
    let (run, configuration) = try runAndConfiguration()
    let data = try Dataset(configuration.data)
    try configuration.denoiser.check(shape: data.shape)
    try configuration.checkLabels(data)
    // Runs of older versions may have others, and are still sampled from.
    guard configuration.consistency.kind != .training || configuration.diffusion.target == .velocity
    else {
      throw UserError(
        "consistency.kind training needs diffusion.target velocity, not "
          + "\(configuration.diffusion.target)")
    }
    for stage in try stages(of: configuration) {
      guard configuration.isTrained(stage) else {
        if stage == .prior { try configuration.checkMixture(data, threads: threads) }
        continue
      }
      try configuration.checkFits(stage, data, threads: threads)
      let batch = configuration.settings(of: stage).batch
      guard batch <= data.training.count else {
        throw UserError(
          """
          \(configuration.settingsPath(of: stage)).batch is \(batch), more than the \(data.training.count) \
          training images of \(data.name)
          """)
      }
    }
    return (run, configuration, data)
  }

  /// The folder to train in: that of ``resolve(threads:)``, or a new one.
  public func begin(_ run: Run?, _ configuration: Configuration) throws -> Run {
    if let run { return run }
    let name = resume == Self.automatic ? name ?? Run.plain(stem) : name
    return try Run.create(in: runs, name: name, stem: stem, configuration)
  }

  /// The stages to train, as far as they are not finished.
  public func stages(of configuration: Configuration) throws -> [Stage] {
    let stages = configuration.stages.filter {
      stage == nil || stage == $0 || $0 == .prior || stage == .denoiser && $0 == .consistency
    }
    guard !configuration.trainsTogether || stage == nil else {
      throw UserError(
        "training.plan \(configuration.training.plan) trains both stages at once: leave out --stage"
      )
    }
    guard configuration.hasVAE || stage != .vae else {
      throw UserError("formulation none has no VAE to train")
    }
    return stages
  }

  private func runAndConfiguration() throws -> (Run?, Configuration) {
    guard !runs.isEmpty else { throw UserError("--runs must name a folder") }
    guard resume != Self.automatic || configuration != nil else {
      throw UserError("--resume auto goes with --config FILE")
    }
    if let resume, resume != Self.automatic {
      guard configuration == nil, overrides.isEmpty, name == nil else {
        throw UserError(
          "--resume goes on with a run as it is: leave --config, --set and --name out")
      }
      let run =
        try resume.isEmpty
        ? Run.newest(in: runs, "is unfinished") { !$0.isComplete } : Run.open(resume, in: runs)
      return (run, try run.configuration())
    }
    guard let file = configuration else {
      throw UserError("--config FILE is needed, or --resume to go on with a run")
    }
    let configuration = try Configuration(file: file, overriding: overrides)
    if resume == Self.automatic, let run = try? Run.open(name ?? Run.plain(stem), in: runs) {
      guard try run.configuration().trains(like: configuration) else {
        throw UserError(
          "\(run.folder): its config.yaml differs from \(file) as resolved: give another --name")
      }
      return (run, try run.configuration())
    }
    guard stage == .denoiser, configuration.hasVAE, !configuration.trainsTogether else {
      return (nil, configuration)
    }
    // Stage two needs a first stage that was trained under the very same configuration.
    if let name {
      let run = try Run.open(name, in: runs)
      guard try run.configuration().trains(like: configuration) else {
        throw UserError("\(run.folder): its config.yaml differs from \(file) as resolved")
      }
      return (run, configuration)
    }
    let run = try Run.newest(in: runs, "has finished stage one under the same configuration") {
      $0.isFinished(.vae) && (try? $0.configuration().trains(like: configuration)) == true
    }
    return (run, configuration)
  }

  /// The name of the configuration file without folder and ending.
  private var stem: String {
    let file = configuration?.split(separator: "/").last ?? "run"
    let stem = file.hasPrefix(".") ? "run" : file.prefix { $0 != "." }
    return stem.isEmpty ? "run" : String(stem)
  }
}

extension Configuration {
  /// Refuses a stage that there is too little memory for, and says which batch there is enough for.
  func checkFits(
    _ stage: Stage, _ data: Dataset, threads: Int, limit: Int = largestMemory
  ) throws {
    func bytes(batch: Int) -> Int {
      var configuration = self
      configuration.setBatch(batch, of: stage)
      // Posteriors, as they are and standardised, and copies on the way.
      let images = data.training.count + (data.validation?.count ?? 0)
      let posteriors = stage == .prior ? 4 * 8 * images * vae.latent : 0
      return data.bytes + posteriors
        + configuration.trainingBytes(of: stage, shape: data.shape, threads: threads)
    }
    let batch = settings(of: stage).batch
    do {
      try checkMemory(
        bytes: bytes(batch: batch), limit: limit, "training \(title(of: stage))")
    } catch let error as UserError {
      // More images take more memory.
      var (largest, tooLarge) = (0, batch)
      while tooLarge - largest > 1 {
        let middle = (largest + tooLarge) / 2
        if bytes(batch: middle) <= limit { largest = middle } else { tooLarge = middle }
      }
      let path = settingsPath(of: stage)
      throw UserError(
        "\(error); "
          + (largest > 0 ? "\(path).batch \(largest) is the largest that fits" : "no batch fits"))
    }
  }
}

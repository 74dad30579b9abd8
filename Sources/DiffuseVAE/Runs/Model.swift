import Diffusion
import Formats
import Neural

/// A trained DiffuseVAE, as far as a run has got: what sampling needs, and no training state.
public struct Model: Sendable {
  public let configuration: Configuration
  public let shape: ImageShape
  /// Nil for the unconditional baseline, which has none.
  public let vae: VAE?
  /// Nil when only the first stage is wanted.
  let denoiser: (any Denoiser)?
  /// Nil when the second stage has none.
  let consistency: (any Denoiser)?
  /// How far off the denoiser is; nil where it was trained before that was measured.
  let posteriorVariance: PosteriorVariance?
  /// Of z.
  let prior: LatentPrior
  let process: DiffusionProcess
  /// Of what its stages were trained on, as far as their files say; see `Dataset.fingerprint`.
  let fingerprints: [String]

  /// The name of that in the files.
  static let fingerprintKey = "trained_on"

  /// What a consistency model's network says, in the metadata of its file: there were others before.
  static let (answerKey, answer) = ("answer", "the clean end of the path")

  /// Loads the averaged weights of a run.
  ///
  /// - Parameters:
  ///   - needsDenoiser: false to load the first stage only, which may be all there is.
  ///   - prior: what z is drawn from; nil for what the run's configuration says.
  /// - Throws: ``UserError`` when the run is not that far, `FormatError` when a file is damaged or
  ///   belongs to another architecture.
  public init(
    of run: Run, needsDenoiser: Bool = true, prior: PriorSettings.Kind? = nil
  ) throws {
    let configuration = try run.configuration()
    guard needsDenoiser || configuration.hasVAE else {
      throw UserError("\(run.folder): formulation none has no VAE")
    }
    guard prior == nil || configuration.hasVAE else {
      throw UserError("\(run.folder): formulation none has no VAE, and so no prior")
    }
    let process = try DiffusionProcess(configuration.diffusion)
    var posteriorVariance: PosteriorVariance?
    let stages = configuration.stages.filter { stage in
      switch stage {
      case .vae: true
      case .prior: false
      case .denoiser: needsDenoiser
      case .consistency: needsDenoiser && run.isFinished(.consistency)
      }
    }
    for stage in stages where !run.isFinished(stage) {
      throw UserError(
        """
        \(run.folder): incomplete, \(stage.rawValue).safetensors is missing; \
        finish it with: \(run.resumption)
        """)
    }
    let files = try stages.map { stage in
      let path = run.weightsFile(stage)
      var file = try SafeTensors.read(path)
      guard let shape = file.metadata["image"].flatMap({ ImageShape($0) }), shape.isDrawable else {
        throw FormatError(file: path, problem: "names no size of image (metadata \"image\")")
      }
      try Self.check(file, stage, configuration, path)
      guard stage != .consistency || file.metadata[Self.answerKey] == Self.answer else {
        throw FormatError(
          file: path,
          problem: "is of an older version: delete it and go on with diffusevae-train --resume")
      }
      if stage != .vae { try configuration.denoiser.check(shape: shape) }
      if stage == .denoiser {
        posteriorVariance = try PosteriorVariance(from: &file, process, path: path)
      }
      try Weights.check(file, configuration.footprint(of: stage, shape: shape), path: path)
      return (stage: stage, path: path, content: file, shape: shape)
    }
    let shapes = files.map(\.shape)
    guard let shape = shapes.first, shapes.allSatisfy({ $0 == shape }) else {
      throw UserError("\(run.folder): its two stages are of different sizes of image")
    }
    self.configuration = configuration
    self.shape = shape
    self.process = process
    self.posteriorVariance = posteriorVariance
    fingerprints = files.compactMap { $0.content.metadata[Self.fingerprintKey] }
    self.prior = try LatentPrior(of: run, configuration, prior)
    func file(_ stage: Stage) -> (path: String, content: SafeTensors)? {
      files.first { $0.stage == stage }.map { ($0.path, $0.content) }
    }
    vae = try file(.vae).map { path, content in
      let seed = configuration.training.seed
      var vae = VAE(configuration.vae, pixels: shape.count, seed: seed)
      try Weights.decode(content, into: &vae, path: path)
      return vae
    }
    func network(_ stage: Stage) throws -> (any Denoiser)? {
      try file(stage).map { path, content in
        var network = configuration.network(shape: shape)
        try Weights.decode(content, into: &network, path: path)
        return network.prepared(training: false)
      }
    }
    denoiser = try network(.denoiser)
    consistency = try network(.consistency)
  }

  /// Weights mean something only under the settings that they were trained with.
  static func check(
    _ file: SafeTensors, _ stage: Stage, _ configuration: Configuration, _ path: String
  ) throws {
    guard let text = file.metadata["configuration"] else { return }
    let trained = try Configuration(yaml: text, name: "\(path) (metadata)")
    let isSame =
      switch stage {
      case .vae: trained.vae == configuration.vae
      case .prior:
        trained.vae == configuration.vae && trained.prior.isTrained(like: configuration.prior)
      case .denoiser:
        trained.vae == configuration.vae && trained.diffusion == configuration.diffusion
          && trained.denoiser == configuration.denoiser
      case .consistency:
        trained.vae == configuration.vae && trained.diffusion == configuration.diffusion
          && trained.denoiser == configuration.denoiser
          && trained.consistency == configuration.consistency
      }
    guard isSame, trained.training.plan == configuration.training.plan else {
      throw FormatError(
        file: path, problem: "was trained under another configuration than the run's config.yaml")
    }
  }

  package init(
    _ configuration: Configuration, shape: ImageShape, vae: VAE?, denoiser: (any Denoiser)?,
    consistency: (any Denoiser)? = nil, posteriorVariance: PosteriorVariance? = nil,
    prior: LatentPrior = .normal
  ) throws {
    self.configuration = configuration
    self.shape = shape
    self.vae = vae
    self.denoiser = denoiser?.prepared(training: false)
    self.consistency = consistency?.prepared(training: false)
    self.posteriorVariance = posteriorVariance
    self.prior = prior
    fingerprints = []
    process = try DiffusionProcess(configuration.diffusion)
  }
}

extension Configuration {
  /// The second stage's network with its first weights.
  package func network(shape: ImageShape) -> any Denoiser {
    denoiser.kind.network.init(self, shape: shape)
  }
}

import Neural

/// What a training will cost, stage by stage: the answer of `--dry-run`.
public struct Estimate {
  public struct Part {
    public let stage: Stage
    /// Trained numbers.
    public let parameters: Int
    public let steps: Int
    /// Peak memory of the process, in bytes.
    public let bytes: Int
    public let seconds: Double
  }

  public let parts: [Part]

  /// Counts parameters and memory, and times a few real updates of every stage.
  public init(
    _ configuration: Configuration, data: Dataset, stages: [Stage], threads: Int
  ) throws {
    let process = try DiffusionProcess(configuration.diffusion)
    let vae = VAE(configuration.vae, pixels: data.shape.count, seed: 0)
    func denoiserPart<Network: Denoiser>(_ network: Network) throws -> Part {
      let frozen = configuration.hasVAE ? vae : nil
      let objective = DiffusionObjective<Network>(process: process, vae: frozen)
      // x, noise, target, x̂0 and the prediction, beside what the network keeps.
      let perImage = network.residualsPerImage + 8 * data.shape.count
      return try Self.part(
        .denoiser, objective, network, configuration, data, threads,
        extra: frozen?.parameterCount ?? 0, perImage: perImage)
    }
    parts = try stages.map { stage in
      switch stage {
      case .vae:
        try Self.part(
          .vae, VAEObjective(), vae, configuration, data, threads, extra: 0,
          perImage: vae.residualsPerImage)
      case .denoiser: try denoiserPart(configuration.network(shape: data.shape))
      }
    }
  }

  private static func part<Goal: Objective>(
    _ stage: Stage, _ objective: Goal, _ network: Goal.Network, _ configuration: Configuration,
    _ data: Dataset, _ threads: Int, extra: Int, perImage: Int
  ) throws -> Part {
    let settings = configuration.settings(of: stage)
    let lanes = configuration.training.lanes
    var trainer = try Trainer(
      objective, network, images: data.training, settings: settings, lanes: lanes,
      seed: configuration.training.seed, threads: threads)
    // The first update pays for pages that later ones find.
    _ = try trainer.advance()
    let clock = ContinuousClock()
    let start = clock.now
    var updates = 0
    repeat {
      _ = try trainer.advance()
      updates += 1
    } while updates < 20 && clock.now - start < .seconds(2)
    let seconds = (clock.now - start) / .seconds(1) / Double(updates)
    // Value, two moments and average, a gradient for each lane; data as bytes.
    let numbers = network.parameterCount * (4 + lanes) + extra + settings.batch * perImage
    let images = data.training.bytes.count + (data.test?.bytes.count ?? 0)
    let program = 40 << 20
    return Part(
      stage: stage, parameters: network.parameterCount, steps: trainer.totalSteps,
      bytes: 4 * numbers + images + program, seconds: seconds * Double(trainer.totalSteps))
  }
}

extension Estimate: CustomStringConvertible {
  public var description: String {
    parts.map { part in
      """
      \(part.stage.title): \(part.parameters) parameters, \(part.steps) steps, \
      about \(part.bytes >> 20) MiB of memory and \(part.seconds.asTime)
      """
    }.joined(separator: "\n")
  }
}

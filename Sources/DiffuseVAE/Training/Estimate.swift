import Neural

/// What a training will cost, stage by stage: the answer of `--dry-run`.
public struct Estimate {
  public struct Part {
    public let title: String
    /// Trained numbers.
    public let parameters: Int
    public let steps: Int
    /// Peak memory of the process, in bytes.
    public let bytes: Int
    public let seconds: Double
  }

  public let parts: [Part]
  /// Whether a mixture is fitted as well. How many steps that takes, and of how many latents it is, is known
  /// only after stage one, so that it is in no part.
  public let fitsMixture: Bool

  /// Counts parameters and memory, and times a few real updates of every stage.
  public init(
    _ configuration: Configuration, data: Dataset, stages: [Stage], threads: Int
  ) throws {
    let vae = VAE(configuration.vae, pixels: data.shape.count, seed: 0)
    func denoiserSeconds<Network: Denoiser>(_ network: Network) throws -> Double {
      let objective = try DiffusionObjective<Network>(
        configuration, vae: configuration.hasVAE ? vae : nil)
      return try Self.seconds(
        .denoiser, objective, network, data.training, configuration, threads)
    }
    func jointSeconds(_ network: any Denoiser) throws -> Double {
      guard let network = network as? any LearnedDenoiser else { return 0 }
      func seconds<Network: LearnedDenoiser>(_ network: Network) throws -> Double {
        try Self.seconds(
          .vae, JointObjective<Network>(configuration), BothNetworks(vae, network), data.training,
          configuration, threads)
      }
      return try seconds(network)
    }
    func consistencySeconds<Network: Denoiser>(_ network: Network) throws -> Double {
      let stage = try DiffusionObjective<Network>(
        configuration, vae: configuration.hasVAE ? vae : nil)
      let settings = configuration.consistency
      let objective = try ConsistencyObjective(
        stage, teacher: settings.kind == .distillation ? network : nil, levels: settings.levels)
      return try Self.seconds(
        .consistency, objective, network, data.training, configuration, threads)
    }
    fitsMixture = stages.contains(.prior) && !configuration.isTrained(.prior)
    parts = try stages.filter(configuration.isTrained).map { stage in
      let settings = configuration.settings(of: stage)
      let steps = settings.totalSteps(images: data.training.count)
      let seconds =
        switch stage {
        case .vae where !configuration.trainsTogether:
          try Self.seconds(
            .vae, VAEObjective(configuration.vae), vae, data.training, configuration, threads)
        case .vae: try jointSeconds(configuration.network(shape: data.shape))
        case .prior: try Self.priorSeconds(configuration, count: data.training.count, threads)
        case .denoiser: try denoiserSeconds(configuration.network(shape: data.shape))
        case .consistency: try consistencySeconds(configuration.network(shape: data.shape))
        }
      return Part(
        title: configuration.title(of: stage),
        parameters: configuration.trainedFootprint(of: stage, shape: data.shape).parameters,
        steps: steps,
        bytes: configuration.trainingBytes(of: stage, shape: data.shape, threads: threads)
          + data.bytes,
        seconds: seconds * Double(steps))
    }
  }

  /// As if all latents were active; which are is known only after stage one.
  private static func priorSeconds(
    _ configuration: Configuration, count: Int, _ threads: Int
  ) throws -> Double {
    let latent = configuration.vae.latent
    let ones = [Double](repeating: 1, count: latent)
    let latents = StandardisedLatents(active: Array(0..<latent), means: ones, deviations: ones)
    let diffusion = try LatentDiffusion(configuration.prior, latents, seed: 0)
    return try seconds(
      .prior, LatentObjective(schedule: diffusion.process.schedule), diffusion.network,
      DiagonalGaussian(Matrix(count, 2 * latent)), configuration, threads)
  }

  /// Seconds that one update takes, by the mean of a few.
  private static func seconds<Goal: Objective>(
    _ stage: Stage, _ objective: Goal, _ network: Goal.Network, _ examples: some Examples,
    _ configuration: Configuration, _ threads: Int
  ) throws -> Double {
    var trainer = try Trainer(
      objective, network, examples: examples, settings: configuration.settings(of: stage),
      lanes: configuration.training.lanes, seed: configuration.training.seed, threads: threads)
    // The first update pays for pages that later ones find.
    _ = try trainer.advance()
    let clock = ContinuousClock()
    let start = clock.now
    var updates = 0
    repeat {
      _ = try trainer.advance()
      updates += 1
    } while updates < 20 && clock.now - start < .seconds(2)
    return (clock.now - start) / .seconds(1) / Double(updates)
  }
}

extension Estimate: CustomStringConvertible {
  public var description: String {
    let lines = parts.map { part in
      """
      \(part.title): \(part.parameters) parameters, \(part.steps) steps, \
      about \(part.bytes.asMemory) of memory and \(part.seconds.asTime)
      """
    }
    let mixture = "prior: a mixture, fitted after stage one; its time is not estimated"
    return (lines + (fitsMixture ? [mixture] : [])).joined(separator: "\n")
  }
}

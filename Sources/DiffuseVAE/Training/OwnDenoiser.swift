import Neural

extension Model {
  /// Trains a denoiser of your own as the second stage, in memory: there is no run, and nothing is
  /// written.
  ///
  /// - Parameters:
  ///   - network: with its first weights. It must see what `configuration.diffusion` says of the
  ///     condition, and say what ``Denoiser`` asks for.
  ///   - configuration: what is asked of the network (`diffusion`), how it is trained
  ///     (`training.denoiser`), and how images are drawn (`sampling`). Its `denoiser` is of no use.
  ///   - first: where x̂0 comes from, a model of the same images; nil for `formulation: none`.
  ///   - threads: In 1...1024. The result does not depend on it.
  ///   - report: is told, after each update, its number from 1 and its loss, a mean over pixels of
  ///     squared errors, weighted as `diffusion.loss` says.
  /// - Throws: ``ConfigurationError`` for settings out of range, ``UserError`` when the images do not suit
  ///   them, ``Divergence`` when training comes to numbers that are not finite, whatever
  ///   `training.on_nonfinite` says.
  public init<Network: Denoiser>(
    training network: Network, _ configuration: Configuration, on data: Dataset,
    first: Model? = nil, threads: Int, report: (_ step: Int, _ loss: Double) -> Void = { _, _ in }
  ) throws {
    // Read back, since only reading checks.
    let configuration = try Configuration(yaml: configuration.yaml, name: "the configuration")
    guard !configuration.hasVAE || first?.vae != nil && first?.shape == data.shape else {
      throw UserError(
        "formulation \(configuration.diffusion.formulation.rawValue) needs a first stage of images of "
          + "\(data.shape)")
    }
    guard data.validation == nil else {
      throw UserError(
        "\(data.name): no images can be held out here, where the last weights are taken")
    }
    try configuration.checkLabels(data)
    let vae = configuration.hasVAE ? first?.vae : nil
    let seed = Stage.denoiser.seed(configuration.training.seed)
    let objective = try DiffusionObjective<Network>(configuration, vae: vae)
    var trainer = try Trainer(
      objective, network, examples: data.training, settings: configuration.training.denoiser,
      lanes: configuration.training.lanes, seed: seed, threads: threads)
    while !trainer.isFinished {
      let terms = try trainer.advance().terms
      report(trainer.step, terms[0])
    }
    let trained = trainer.network.averaged
    try self.init(
      configuration, shape: data.shape, vae: vae, denoiser: trained,
      posteriorVariance: configuration.sampling.needsPosteriorVariance
        ? PosteriorVariance(
          of: trained, objective.process, vae: vae, on: data.training, seed: seed, threads: threads)
        : nil,
      prior: vae == nil ? .normal : first?.prior ?? .normal)
  }
}

import Formats
import Neural
import RealModule

extension Training {
  /// Fits or trains the prior where stage one is finished.
  ///
  /// - Returns: false when it was interrupted; a checkpoint is then written.
  func fitPrior() throws -> Bool {
    let model = try Model(of: run, needsDenoiser: false, prior: .normal)
    try check(model)
    guard let vae = model.vae else {
      throw UserError("\(run.folder): has no VAE to fit a prior to")
    }
    guard configuration.prior.kind == .mixture else { return try trainLatentDiffusion(vae) }
    return try fitMixture(vae)
  }

  /// Fits a mixture to draws of q(z|x), one for each training image (Pandey et al. 2022, "Ex-PDE").
  ///
  /// Only the active latents get one. The others are noise, one Gaussian each: covariances with
  /// them would be most of what there is to fit, and fitted to nothing.
  ///
  /// - Returns: false when it was interrupted.
  private func fitMixture(_ vae: VAE) throws -> Bool {
    let settings = configuration.prior
    let posteriors = try posteriors(vae, data.training, count: configuration.latents(of: data))
    let z = draws(of: posteriors, step: 0)
    let test = try data.test.map { try self.posteriors(vae, $0) }
    let testZ = test.map { draws(of: $0, step: 1) }
    let (means, deviations) = posteriors.aggregatedMoments
    let found = posteriors.activeDimensions
    let active = found.isEmpty ? Array(0..<vae.latent) : found
    var best: (mixture: GaussianMixture, criterion: Double)?
    for components in settings.components {
      if Interruption.isRequested { return false }
      let clock = ContinuousClock()
      let start = clock.now
      let fit = try fit(components: components, to: z.columns(at: active))
      let mixture = try fit.mixture.embedded(at: active, means: means, deviations: deviations)
      let criterion = fit.informationCriterion(points: z.rows)
      logger.info(
        """
        prior: \(describe(mixture, z, test: testZ)), BIC \(criterion.digits(0)); \
        took \(((clock.now - start) / .seconds(1)).digits(1)) s
        """)
      if criterion < best?.criterion ?? .infinity { best = (mixture, criterion) }
    }
    guard let mixture = best?.mixture else {
      throw UserError(
        "the prior cannot be fitted: no mixture has a finite BIC; lower prior.components")
    }
    if settings.components.count > 1 {
      logger.info("prior: the least BIC is that of \(mixture.components) components")
    }
    // Other draws than those that it was fitted to, of which it thinks too well.
    func divergence(_ posteriors: DiagonalGaussian, _ step: Int) -> LatentReport.Divergence {
      let z = draws(of: posteriors, step: step)
      return .init(posteriors, logDensities: mixture.logDensities(of: z))
    }
    try write(
      LatentReport(
        posteriors, fromPrior: divergence(posteriors, 2),
        testFromPrior: test.map { divergence($0, 1) }, levels: levels(of: vae, posteriors)))
    try mixture.file(metadata: metadata(.prior)).write(to: run.weightsFile(.prior))
    return true
  }

  private func fit(components: Int, to z: Matrix) throws -> GaussianMixture.Fit {
    var options = GaussianMixture.FitOptions()
    options.seed = configuration.training.seed
    options.threads = threads
    do {
      return try GaussianMixture.fit(
        z, components: components, covariance: configuration.prior.covariance, options)
    } catch let error as LinearAlgebraError {
      throw UserError("the prior cannot be fitted: \(error)")
    }
  }

  /// What a mixture is worth. Far less for test images says that it has too many components.
  private func describe(_ mixture: GaussianMixture, _ z: Matrix, test: Matrix?) -> String {
    let heldOut = test.map { " (test images \(mixture.meanLogDensity(of: $0).digits(2)))" }
    // ln N(z; 0, I), the mean over the same z.
    let perDimension = z.squaredNorm / Double(z.rows) + Double(z.columns) * Double.log(2 * .pi)
    return """
      \(mixture.components) components, ln p(z) \(mixture.meanLogDensity(of: z).digits(2)) nats a \
      latent\(heldOut ?? ""), under N(0, I) \((-0.5 * perDimension).digits(2))
      """
  }

  private func write(_ report: LatentReport) throws {
    try File.writeAtomically(report.encoded(), to: run.latentsFile)
    logger.info("\(report)")
  }

  /// Trains a diffusion model of the active latents by the one training loop.
  private func trainLatentDiffusion(_ vae: VAE) throws -> Bool {
    let posteriors = try posteriors(vae, data.training)
    let active = posteriors.activeDimensions
    guard !active.isEmpty else {
      throw UserError(
        "the prior cannot be trained: no latent carries information; set prior.kind to normal")
    }
    let (means, deviations) = posteriors.aggregatedMoments
    let latents = StandardisedLatents(active: active, means: means, deviations: deviations)
    func standardised(_ posteriors: DiagonalGaussian) -> DiagonalGaussian {
      posteriors.standardised(active, means: means, deviations: deviations)
    }
    func diffusion() throws -> LatentDiffusion {
      try LatentDiffusion(
        configuration.prior, latents, seed: Stage.prior.seed(configuration.training.seed))
    }
    try write(LatentReport(posteriors, levels: levels(of: vae, posteriors)))
    let test = try data.test.map { try standardised(self.posteriors(vae, $0)) }
    let validation = try data.validation.map { try standardised(self.posteriors(vae, $0)) }
    let schedule = try DiffusionProcess(configuration.prior.diffusion).schedule
    var trainer = try trainer(
      LatentObjective(schedule: schedule), diffusion().network, .prior,
      on: standardised(posteriors))
    return try train(&trainer, .prior, test: test, validation: validation) { _ in
      latents.tensors
    } model: {
      var diffusion = try diffusion()
      diffusion.network = $0
      return try Model(
        configuration, shape: data.shape, vae: vae, denoiser: nil, prior: .diffusion(diffusion))
    }
  }

  /// q(z|x) of `count` of some images, all if there is no count.
  private func posteriors(
    _ vae: VAE, _ images: ByteImages, count: Int? = nil
  ) throws -> DiagonalGaussian {
    try vae.posteriors(of: images, images.spread(count ?? images.count), threads: threads)
  }

  /// `ln q - ln p` of each level of a VAE that has several, for one draw of each posterior.
  private func levels(of vae: VAE, _ posteriors: DiagonalGaussian) throws -> [[Double]]? {
    guard !vae.upper.isEmpty else { return nil }
    let stream = RandomStream(seed: configuration.training.seed, purpose: .priorNoise, step: 3)
    let parts = (0..<posteriors.count).parts(of: 256)
    let found = try concurrently(parts.count, threads: threads) { index in
      let chain = vae.chain(
        from: DiagonalGaussian(posteriors.parameters.rows(parts[index])),
        noise: stream.normal(rows: parts[index], columns: vae.noiseColumns))
      return chain.latents.indices.map { chain.logRatios(level: $0) }
    }
    return found[0].indices.map { level in found.flatMap { $0[level] } }
  }

  /// A z of each.
  private func draws(of posteriors: DiagonalGaussian, step: Int) -> Matrix {
    let stream = RandomStream(seed: configuration.training.seed, purpose: .priorNoise, step: step)
    return posteriors.sample(
      stream.normal(rows: 0..<posteriors.count, columns: posteriors.dimensions))
  }
}

extension GaussianMixture {
  fileprivate func meanLogDensity(of z: Matrix) -> Double {
    logDensities(of: z).reduce(0, +) / Double(max(1, z.rows))
  }
}

extension DiagonalGaussian {
  /// The dimensions that carry something: a mean divergence of more than 0.01 nats.
  var activeDimensions: [Int] {
    let divergences = divergencePerDimension
    return divergences.indices.filter { divergences[$0] > 0.01 * Double(count) }
  }
}

extension Configuration {
  /// How many latents the mixture is fitted to.
  fileprivate func latents(of data: Dataset) -> Int {
    min(prior.samples ?? data.training.count, data.training.count)
  }

  /// Refuses a mixture that has too few latents to be fitted to, or no room in memory.
  func checkMixture(_ data: Dataset, threads: Int) throws {
    let count = latents(of: data)
    let components = prior.components.max() ?? 0
    guard components <= count / 10 else {
      throw UserError(
        """
        prior.components is \(components), more than a tenth of the \(count) latents of \
        \(data.name) that the mixture is fitted to; lower it, or set prior.kind to normal
        """)
    }
    let images = count + (data.test?.count ?? 0)
    let fit = GaussianMixture.fitBytes(
      points: images, dimensions: vae.latent, components: components, covariance: prior.covariance,
      threads: threads)
    let footprint = vae.footprint(pixels: data.shape.count, samples: 1)
    // The posteriors, two numbers for each latent, while parts are put together; later their draws.
    let latents = 8 * images * vae.latent
    let encoding = footprint.parameters + threads * 256 * footprint.residualsPerImage
    try checkMemory(
      bytes: data.bytes + 4 * (latents + encoding) + fit,
      "fitting the prior (\(components) components, covariance \(prior.covariance))")
  }
}

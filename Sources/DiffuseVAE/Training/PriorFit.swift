import Formats
import Neural
import RealModule

extension Training {
  /// Fits the prior to draws of q(z|x), one for each training image, where stage one is finished
  /// and the run needs a prior that it does not have yet (Pandey et al. 2022, "Ex-PDE").
  func fitPrior() throws {
    guard configuration.needsPriorFile, run.isFinished(.vae), !run.has(run.priorFile) else {
      return
    }
    let model = try Model(of: run, needsDenoiser: false, prior: .normal)
    guard let vae = model.vae, model.shape == data.shape else {
      throw UserError(
        "\(data.name): images are \(data.shape), not of the size that stage one was trained on")
    }
    let clock = ContinuousClock()
    let start = clock.now
    let settings = configuration.prior
    let (z, divergences) = try latents(
      vae, data.training, count: configuration.latents(of: data), step: 0)
    var options = GaussianMixture.FitOptions()
    options.seed = configuration.training.seed
    options.threads = threads
    let fit: GaussianMixture.Fit
    do {
      fit = try GaussianMixture.fit(
        z, components: settings.components, covariance: settings.covariance, options)
    } catch let error as LinearAlgebraError {
      throw UserError("the prior cannot be fitted: \(error)")
    }
    let metadata = [
      "part": "prior", "image": data.shape.description, "configuration": configuration.yaml,
    ]
    try File.writeAtomically(fit.mixture.encoded(metadata: metadata), to: run.priorFile)

    // Far below that of the training images, it says that there are too many components.
    let heldOut = try data.test.map { test in
      let z = try latents(vae, test, count: test.count, step: 1).z
      let sum = fit.mixture.logDensities(of: z).reduce(0, +)
      return " (test images \((sum / Double(test.count)).digits(2)))"
    }
    // ln N(z; 0, I), the mean over the same z.
    let perDimension = z.squaredNorm / Double(z.rows) + Double(vae.latent) * Double.log(2 * .pi)
    logger.info(
      """
      prior: \(fit.mixture.components) components, ln p(z) \(fit.logLikelihood.digits(2)) nats a \
      latent\(heldOut ?? ""), under N(0, I) \((-0.5 * perDimension).digits(2)); \
      \(divergences.count { $0 > 0.01 }) of \(vae.latent) dimensions active; \
      took \(((clock.now - start) / .seconds(1)).digits(1)) s
      """)
  }

  /// Draws of q(z|x) for `count` of some images, `[count, latent]`, and the mean divergence of each
  /// dimension from N(0, 1), in nats.
  private func latents(
    _ vae: VAE, _ images: ByteImages, count: Int, step: Int
  ) throws -> (z: Matrix, divergences: [Double]) {
    let stream = RandomStream(seed: configuration.training.seed, purpose: .priorNoise, step: step)
    let chunk = 256
    let parts = try concurrently((count + chunk - 1) / chunk, threads: threads) { index in
      let rows = index * chunk..<min((index + 1) * chunk, count)
      // Spread evenly: a set may be sorted by its labels.
      let posterior = vae.encode(images.pixels(rows.map { $0 * images.count / count }))
      let noise = stream.normal(rows: rows, columns: vae.latent)
      return (z: posterior.sample(noise), divergences: posterior.divergencePerDimension)
    }
    let sums = parts.reduce([Double](repeating: 0, count: vae.latent)) { sum, part in
      zip(sum, part.divergences).map { $0 + $1 }
    }
    return (.stacked(parts.map(\.z)), sums.map { $0 / Double(count) })
  }
}

extension Configuration {
  /// How many latents the prior is fitted to.
  fileprivate func latents(of data: Dataset) -> Int {
    min(prior.samples ?? data.training.count, data.training.count)
  }

  /// Refuses a mixture that has too few latents to be fitted to, or no room in memory.
  func checkPrior(_ data: Dataset) throws {
    guard needsPriorFile else { return }
    let count = latents(of: data)
    guard prior.components <= count / 10 else {
      throw UserError(
        """
        prior.components is \(prior.components), more than a tenth of the \(count) latents of \
        \(data.name) that the mixture is fitted to; lower it, or set prior.kind to normal
        """)
    }
    let fit = GaussianMixture.fitBytes(
      dimensions: vae.latent, components: prior.components, covariance: prior.covariance,
      threads: Session.cores)
    try checkMemory(
      bytes: data.bytes + 4 * 2 * count * vae.latent + fit,
      "fitting the prior (\(prior.components) components, covariance \(prior.covariance))")
  }
}

import Neural

/// Stage one: the negative ELBO, in nats an image, the divergence weighed by β.
package struct VAEObjective: Objective {
  package let terms = ["loss", "reconstruction", "divergence"]
  let settings: VAESettings

  package init(_ settings: VAESettings) { self.settings = settings }

  package func forward(_ vae: VAE, _ slice: Slice) -> (terms: [Double], residuals: Residuals) {
    let noise = slice.stream(.latentNoise).normal(rows: slice.rows, columns: vae.latent)
    return forward(
      vae, settings.binarise.images(of: slice), noise: noise, batch: slice.batch,
      beta: slice.isTraining ? settings.beta(at: slice.step) : settings.beta)
  }

  /// - Parameters:
  ///   - pixels: some rows of a batch, `[rows, pixels]`.
  ///   - noise: `[rows, latent]`, draws of N(0, 1).
  ///   - batch: rows of the whole batch.
  func forward(
    _ vae: VAE, _ pixels: Matrix, noise: Matrix, batch: Int, beta: Double
  ) -> (terms: [Double], residuals: Residuals) {
    let residuals = vae.forward(pixels, noise: noise)
    let scale = 1 / Double(batch)
    let reconstruction = residuals.likelihood.losses.reduce(0, +)
    let divergence = residuals.posterior.divergencesFromNormal().reduce(0, +)
    let freeBits = settings.freeBits > 0 ? Float(settings.freeBits) : nil
    let counted =
      freeBits == nil
      ? divergence : residuals.posterior.divergencesFromNormal(atLeast: freeBits).reduce(0, +)
    let terms = [reconstruction + beta * counted, reconstruction, divergence]
    return (
      terms.map { scale * $0 },
      Residuals(vae: residuals, scale: scale, beta: beta, freeBits: freeBits)
    )
  }

  package struct Residuals: Sendable {
    let vae: VAE.Residuals
    let scale: Double
    let beta: Double
    let freeBits: Float?
  }

  package func backward(_ vae: VAE, _ residuals: Residuals, _ gradients: inout Gradients) {
    vae.backward(
      residuals.vae, scale: residuals.scale, beta: residuals.beta, freeBits: residuals.freeBits,
      &gradients)
  }
}

extension VAESettings {
  /// β in an update, which rises linearly from 0 where there is a warm-up.
  func beta(at step: Int) -> Double {
    step < betaWarmup ? beta * Double(step) / Double(betaWarmup) : beta
  }
}

import Neural

/// Stage one: the negative ELBO, in nats an image, the divergence weighed by β.
package struct VAEObjective: Objective {
  package let terms = ["loss", "reconstruction", "divergence"]
  let settings: VAESettings

  package init(_ settings: VAESettings) { self.settings = settings }

  package func forward(_ vae: VAE, _ slice: Slice) -> (terms: [Double], residuals: Residuals) {
    let noise = slice.stream(.latentNoise).normal(rows: slice.rows, columns: vae.latent)
    let images = settings.binarise.images(of: slice)
    let (reconstruction, divergence, residuals) = vae.negativeELBO(images, noise: noise)
    let scale = 1 / Double(slice.batch)
    let terms = [reconstruction + settings.beta * divergence, reconstruction, divergence]
    return (terms.map { scale * $0 }, Residuals(vae: residuals, scale: scale))
  }

  package struct Residuals: Sendable {
    let vae: VAE.Residuals
    let scale: Double
  }

  package func backward(_ vae: VAE, _ residuals: Residuals, _ gradients: inout Gradients) {
    vae.backward(residuals.vae, scale: residuals.scale, beta: settings.beta, &gradients)
  }
}

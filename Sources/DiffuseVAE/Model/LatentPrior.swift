import Neural

/// p(z): where the latents of new images come from.
///
/// Draws of N(0, I) fall into holes between the latents of real images, which the second stage
/// cannot repair. A mixture of Gaussians that is fitted to these has fewer (Pandey et al. 2022,
/// "Ex-PDE"), and so has a diffusion model of them.
package enum LatentPrior: Sendable {
  /// The VAE's own, N(0, I), or N(0, I) at its highest level and from there down to z.
  case normal
  case mixture(GaussianMixture)
  case diffusion(LatentDiffusion)

  /// z of the images `indices` of a seed, `[indices, latent]`, from noise that is each image's own.
  ///
  /// - Parameter temperature: scales that noise, and so the deviation from the mean; from that of
  ///   the component which was drawn, if this is a mixture. For a diffusion it scales the start.
  /// - Throws: ``UserError`` when the output of the diffusion's network is not finite.
  func draw(_ indices: [Int], of vae: VAE, seed: UInt64, temperature: Double) throws -> Matrix {
    var columns = vae.latent
    if case .normal = self { columns = vae.noiseColumns }
    var noise = RandomStream(seed: seed, purpose: .latent).normal(rows: indices, columns: columns)
    noise.scale(Float(temperature))
    switch self {
    case .normal: return vae.latents(from: noise)
    case .mixture(let mixture):
      let choices = RandomStream(seed: seed, purpose: .component).uniform(rows: indices, columns: 1)
      return mixture.sample(choices: choices, noise: noise)
    case .diffusion(let diffusion): return try diffusion.latents(from: noise)
    }
  }
}

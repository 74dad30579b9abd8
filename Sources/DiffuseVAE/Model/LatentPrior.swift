import Neural

/// p(z): where the latents of new images come from.
///
/// Draws of N(0, I) fall into holes between the latents of real images, which the second stage
/// cannot repair. A mixture of Gaussians that is fitted to these has fewer (Pandey et al. 2022,
/// "Ex-PDE").
enum LatentPrior: Equatable, Sendable {
  case normal
  case mixture(GaussianMixture)

  /// z of image `index` of a seed, `[1, latent]`.
  ///
  /// - Parameter temperature: scales the deviation from the mean; that of the component which was
  ///   drawn, if this is a mixture.
  func draw(_ index: Int, latent: Int, seed: UInt64, temperature: Double) -> Matrix {
    var z = RandomStream(seed: seed, purpose: .latent).normal(rows: [index], columns: latent)
    z.scale(Float(temperature))
    switch self {
    case .normal: return z
    case .mixture(let mixture):
      let choice = RandomStream(seed: seed, purpose: .component).uniform(rows: [index], columns: 1)
      return mixture.sample(choices: choice, noise: z)
    }
  }
}

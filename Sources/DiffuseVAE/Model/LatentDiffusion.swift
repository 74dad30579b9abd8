import Diffusion
import Neural

/// A diffusion model of z (Vahdat et al. 2021; Rombach et al. 2022), unconditional.
///
/// It models only the active latents. The posterior of the others is about N(0, 1) whatever the
/// image is: they would be most of the loss and nothing of the picture. They are drawn from
/// N(0, 1).
package struct LatentDiffusion: Sendable {
  /// Of the standardised active latents.
  var network: MLPDenoiser
  let latents: StandardisedLatents
  let process: DiffusionProcess
  private let levels: [Level]

  /// With the network's first weights.
  init(_ settings: PriorSettings, _ latents: StandardisedLatents, seed: UInt64) throws {
    let diffusion = settings.diffusion
    network = MLPDenoiser(
      settings.denoiser, pixels: latents.active.count, conditional: false,
      timesteps: diffusion.steps, seed: seed)
    self.latents = latents
    process = try DiffusionProcess(diffusion)
    levels = try process.schedule.levels(count: settings.steps)
  }

  /// z from noise, by deterministic DDIM: `[batch, latent]` of both.
  ///
  /// - Throws: ``UserError`` when the network's output is not finite.
  func latents(from noise: Matrix) throws -> Matrix {
    let start = noise.columns(at: latents.active)
    let z = try ddim(from: start, through: levels) { y, level in
      try process.denoise(y, at: level, network, .nothing)
    }
    return latents.restored(z, inactive: noise)
  }
}

/// Which latents carry information, and their moments over all images.
struct StandardisedLatents: Equatable, Sendable {
  /// Ascending.
  let active: [Int]
  /// Of every latent.
  let means: [Double]
  /// Of every latent; positive.
  let deviations: [Double]

  /// `[batch, latent]` of standardised active latents and, in the other columns, `inactive` as it
  /// is.
  func restored(_ z: Matrix, inactive: Matrix) -> Matrix {
    var all = inactive
    for row in 0..<z.rows {
      for (place, i) in active.enumerated() {
        all[row, i] = Float(means[i]) + Float(deviations[i]) * z[row, place]
      }
    }
    return all
  }
}

extension PriorSettings {
  /// The process in z.
  var diffusion: DiffusionSettings {
    var diffusion = DiffusionSettings()
    diffusion.formulation = .unconditional
    diffusion.condition = false
    diffusion.schedule = .cosine
    diffusion.target = .velocity
    diffusion.clip = false
    return diffusion
  }

  /// The network in z.
  var denoiser: DenoiserSettings {
    var denoiser = DenoiserSettings()
    (denoiser.width, denoiser.blocks) = (width, blocks)
    (denoiser.features, denoiser.embedding) = (128, 128)
    return denoiser
  }

  /// What that network costs, counted for so many active latents.
  func footprint(latents: Int) -> Footprint {
    denoiser.footprint(
      shape: ImageShape(height: 1, width: latents, channels: 1), conditional: false,
      conditionFeatures: 0, timesteps: diffusion.steps)
  }
}

import Diffusion
import Neural

/// The prior: the squared error of a denoiser of latents, a mean over them, against the velocity
/// that is expected for a z ~ q(z|x) of every image.
struct LatentObjective: Objective {
  let schedule: NoiseSchedule

  let terms = ["loss"]

  func forward(
    _ network: MLPDenoiser, _ slice: Slice
  ) -> (terms: [Double], residuals: DiffusionObjective<MLPDenoiser>.Residuals) {
    let posterior = DiagonalGaussian(slice.examples)
    let levels = slice.stream(.timestep).integers(rows: slice.rows, below: schedule.steps)
      .map(schedule.level)
    let (y, velocity) = posterior.diffused(
      alphas: levels.map { Float($0.alpha) }, sigmas: levels.map { Float($0.sigma) },
      noise: slice.stream(.diffusionNoise).normal(
        rows: slice.rows, columns: posterior.dimensions))
    let (output, residuals) = network.forward(
      y, condition: .none, timesteps: levels.map(\.timestep), dropout: nil)
    let weight = 1 / Float(slice.batch * posterior.dimensions)
    let (loss, derivative) = squaredError(
      output, velocity, weights: [Float](repeating: weight, count: y.rows))
    return ([loss], .init(network: residuals, derivative: derivative))
  }

  func backward(
    _ network: MLPDenoiser, _ residuals: consuming DiffusionObjective<MLPDenoiser>.Residuals,
    _ gradients: inout Gradients
  ) {
    network.backward(residuals.derivative, (consume residuals).network, &gradients)
  }
}

import Neural

@testable import DiffuseVAE

/// Untrained, but shaken so that nothing is zero; 6×5 images.
func shakenModel(_ settings: String...) throws -> Model {
  var configuration = try small()
  configuration = try Configuration(
    yaml: configuration.yaml, name: "resolved", overriding: settings)
  let shape = ImageShape(height: 6, width: 5, channels: 1)
  let vae = VAE(configuration.vae, pixels: shape.count, seed: 1).shaken(0.2)
  let network = MLPDenoiser(
    configuration.denoiser, pixels: shape.count,
    conditional: configuration.diffusion.condition, timesteps: 50, seed: 1
  ).shaken(0.1)
  return try Model(
    configuration, shape: shape, vae: configuration.hasVAE ? vae : nil, denoiser: network,
    consistency: network)
}

func generator(
  _ model: Model, _ change: (inout SamplingOptions) -> Void = { _ in }
) throws -> Generator {
  var options = SamplingOptions(model.configuration.sampling, threads: 2)
  options.batch = 16
  change(&options)
  return try Generator(model, options)
}

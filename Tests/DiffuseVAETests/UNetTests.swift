import Testing

@testable import DiffuseVAE
@testable import Neural

@Suite struct UNetTests {
  static let shape = ImageShape(height: 8, width: 4, channels: 2)

  private func network(_ configuration: Configuration) -> UNetDenoiser {
    UNetDenoiser(
      configuration.denoiser, shape: Self.shape, conditional: configuration.diffusion.condition,
      conditionFeatures: 0, timesteps: 50, seed: 1)
  }

  @Test(
    "Derivatives of stage two's loss agree with finite differences", arguments: ["concat", "none"])
  func gradients(formulation: String) throws {
    let configuration = try small("denoiser.kind=unet", "diffusion.formulation=\(formulation)")
    let vae = VAE(configuration.vae, pixels: Self.shape.count, seed: 1)
    let slice = Slice(
      examples: normal(3, Self.shape.count, seed: 3).sigmoid(), rows: 0..<3, batch: 3, seed: 8,
      step: 2)
    let objective = DiffusionObjective<UNetDenoiser>(
      process: try DiffusionProcess(configuration.diffusion),
      vae: configuration.hasVAE ? vae : nil)
    let errors = worstGradientError(objective, network(configuration).shaken(0.1), slice)
    // Five blocks, three of which change the number of channels.
    #expect(errors.count == 4 + 2 + 5 * 10 + 3 * 2 + 2 + 2 + 2)
    for (name, error) in errors { #expect(error < 5e-3, "\(name)") }
  }

  @Test("The network sees [x, x̂0] as the channels of every pixel, and starts at zero")
  func inputs() throws {
    let network = network(try small("denoiser.kind=unet"))
    let (x, condition) = (normal(3, 64, seed: 1), normal(3, 64, seed: 2))
    let (output, residuals) = network.forward(
      x, condition: Condition(image: condition), timesteps: [3, 0, 49], dropout: nil)
    #expect(output == Matrix(3, 64))
    #expect(residuals.input.rows == 3 * 32 && residuals.input.columns == 4)
    for (image, pixel) in [(0, 0), (1, 9), (2, 31)] {
      let row = residuals.input.rows(image * 32 + pixel..<image * 32 + pixel + 1).elements
      #expect(row[0] == x[image, 2 * pixel] && row[1] == x[image, 2 * pixel + 1])
      #expect(row[2] == condition[image, 2 * pixel] && row[3] == condition[image, 2 * pixel + 1])
    }
  }

  @Test("A loaded U-Net is prepared to sample, not to train")
  func prepared() throws {
    try inTemporaryFolder { runs in
      let configuration = try small(
        "denoiser.kind=unet", "diffusion.formulation=none", "training.denoiser.steps=1",
        "training.denoiser.batch=2", "training.grids=0")
      let run = try trainedRun(in: runs, configuration)
      let network = try #require(try Model(of: run).denoiser as? UNetDenoiser)
      #expect(network.middle.convolution1.preparedCount == 36 * 24 * 24)
    }
  }

  @Test("Images that cannot be halved so often are refused, with the sizes that can")
  func sizes() throws {
    var settings = DenoiserSettings()
    let odd = ImageShape(height: 30, width: 28, channels: 1)
    try settings.check(shape: odd)
    settings.kind = .unet
    try settings.check(shape: ImageShape(height: 28, width: 4, channels: 3))
    #expect(
      problem { try settings.check(shape: odd) } == """
        denoiser.channels of 3 levels takes images whose height and width are multiples of 4; \
        for 30x28x1 give at most 2
        """)
    settings.channels = [16, 16]
    try settings.check(shape: odd)
    settings.channels = [8]
    try settings.check(shape: ImageShape(height: 7, width: 1, channels: 1))
  }
}

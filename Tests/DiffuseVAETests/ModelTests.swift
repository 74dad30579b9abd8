import Diffusion
import Foundation
import Neural
import Testing

@testable import DiffuseVAE

@Suite struct ModelTests {
  static let pixels = 12

  private func slice(rows: Int = 7) -> Slice {
    Slice(
      examples: normal(rows, Self.pixels, seed: 3).sigmoid(), rows: 0..<rows, batch: rows, seed: 8,
      step: 2)
  }

  @Test(
    "Stage one: derivatives of the negative ELBO agree with finite differences",
    arguments: VAESettings.Likelihood.allCases)
  func vaeGradients(likelihood: VAESettings.Likelihood) {
    var settings = VAESettings()
    (settings.hidden, settings.latent) = ([10, 9], 3)
    (settings.likelihood, settings.beta) = (likelihood, 0.7)
    let vae = VAE(settings, pixels: Self.pixels, seed: 1).shaken(0.1)
    let errors = worstGradientError(VAEObjective(settings), vae, slice())
    #expect(errors.count == (likelihood == .gaussian ? 13 : 12))
    for (name, error) in errors { #expect(error < 3e-3, "\(name)") }
  }

  @Test(
    "Stage two: derivatives of the loss agree with finite differences",
    arguments: Formulation.allCases, PredictionTarget.allCases)
  func denoiserGradients(formulation: Formulation, target: PredictionTarget) throws {
    var configuration = try small()
    configuration.diffusion.formulation = formulation
    configuration.diffusion.condition = formulation != .unconditional
    configuration.diffusion.target = target
    configuration.diffusion.loss = try #require(LossWeight(rawValue: target.rawValue))
    let vae = VAE(configuration.vae, pixels: Self.pixels, seed: 1)
    let network = MLPDenoiser(
      configuration.denoiser, pixels: Self.pixels, conditional: configuration.diffusion.condition,
      timesteps: 50, seed: 1
    ).shaken(0.1)
    let objective = DiffusionObjective<MLPDenoiser>(
      process: try DiffusionProcess(configuration.diffusion),
      vae: configuration.hasVAE ? vae : nil)
    // Of less, the loss's rounding is the most of the error, by `score` above all.
    let errors = worstGradientError(objective, network, slice(), step: 2e-2)
    #expect(errors.count == 4 + 2 + 2 * 6 + 2)
    for (name, error) in errors { #expect(error < 2e-3, "\(name)") }
  }

  @Test("The reference networks have the sizes that are published for them")
  func referenceSizes() throws {
    let shape = ImageShape(height: 28, width: 28, channels: 1)
    // 784·1024 + 1024·1024 + 1024·64 + 32·1024 + 1024·1024 + 1024·784, and biases
    #expect(VAE(VAESettings(), pixels: shape.count, seed: 0).parameterCount == 3_806_032)
    for (kind, count) in [("mlp", 14_096_656), ("unet", 611_873)] {
      let configuration = try Configuration(
        yaml: "denoiser: {kind: \(kind)}", name: "reference")
      #expect(configuration.network(shape: shape).parameterCount == count)
    }
  }

  @Test("Time features are 128 cosines, then 128 sines, of t·10000^(-k/128)")
  func timeFeatures() {
    var source = ParameterSource(seed: 0)
    let table = TimeEmbedding(timesteps: 1000, features: 256, condition: 0, width: 4, &source).table
    #expect(table.rows == 1000)
    #expect(table[0, 0] == 1 && table[0, 127] == 1 && table[0, 128] == 0)
    #expect(abs(table[700, 0] + 0.839_104_3) < 1e-6)  // cos 700
    #expect(abs(table[700, 128] - 0.543_970_5) < 1e-6)  // sin 700
    #expect(abs(table[700, 64] - 0.753_902) < 1e-5)  // cos 7
    #expect(abs(table[700, 192] - 0.656_987) < 1e-5)  // sin 7
  }

  /// With a first layer linear in [x, x̂0], blocks (W1, W2) under Formulation 2 are
  /// Formulation 1 with (W1, W1 + W2).
  @Test("Formulation 2 with (W1, W2) is Formulation 1 with (W1, W1 + W2): loss and samples")
  func formulationIdentity() throws {
    var configuration = try small("diffusion.formulation=centred")
    let (width, pixels) = (24, Self.pixels)
    let vae = VAE(configuration.vae, pixels: pixels, seed: 1)
    let second = MLPDenoiser(
      configuration.denoiser, pixels: pixels, conditional: true, timesteps: 50, seed: 1
    ).shaken(0.1)
    var first = second
    first.visitParameters { name, parameter in
      guard name == "input.weight" else { return }
      for row in 0..<width {
        for i in 0..<pixels { parameter.value[row, pixels + i] += parameter.value[row, i] }
      }
    }
    var found: [(loss: Double, samples: Matrix)] = []
    for (formulation, network) in [(Formulation.centred, second), (.concat, first)] {
      configuration.diffusion.formulation = formulation
      let objective = DiffusionObjective<MLPDenoiser>(
        process: try DiffusionProcess(configuration.diffusion), vae: vae)
      let shape = ImageShape(height: 3, width: 4, channels: 1)
      let model = try Model(configuration, shape: shape, vae: vae, denoiser: network)
      let options = SamplingOptions(configuration.sampling, threads: 1)
      found.append(
        (
          objective.forward(network, slice()).terms[0],
          try Generator(model, options).images(0..<6)
        ))
    }
    #expect(abs(found[0].loss - found[1].loss) < 1e-5 * found[0].loss)
    #expect(distance(found[0].samples, found[1].samples) < 1e-4)
    #expect(found[0].samples.elements.contains { $0 > 0.05 && $0 < 0.95 })
  }

  @Test("A formulation's images and chains are each other's inverse; y and y + x̂0 are told apart")
  func formulations() {
    let (x, reconstruction) = (normal(3, 5, seed: 1), normal(3, 5, seed: 2))
    var sum = x
    sum.add(reconstruction)
    for formulation in Formulation.allCases {
      let y0 = formulation.chain(fromImage: x, reconstruction)
      #expect(distance(formulation.image(fromChain: y0, reconstruction), x) < 1e-6)
      let shifts = formulation == .centred || formulation == .residual
      #expect(formulation.networkInput(x, reconstruction) == (shifts ? sum : x))
      #expect((y0 == x) == (formulation != .residual))
    }
  }

  @Test("Sizes counted from the settings are those of the networks")
  func footprints() throws {
    for settings in [
      [], ["vae.likelihood=gaussian", "vae.hidden=[]", "denoiser.blocks=5"],
      ["diffusion.formulation=none", "denoiser.features=6", "denoiser.embedding=7"],
      ["vae.upper_latents=[5, 3]", "vae.upper_hidden=[6]", "vae.samples=3"],
      ["vae.upper_latents=[2]", "vae.upper_hidden=[]", "vae.likelihood=gaussian"],
      ["denoiser.kind=unet", "denoiser.channels=[8]"],
      ["denoiser.kind=unet", "denoiser.channels=[16, 8, 24]", "denoiser.features=6"],
      ["denoiser.kind=unet", "diffusion.formulation=none"],
      ["diffusion.learn_variance=true"],
      ["denoiser.kind=unet", "diffusion.learn_variance=true"],
    ] {
      let configuration = try Configuration(
        yaml: small().yaml, name: "small",
        overriding: settings.contains("diffusion.formulation=none")
          ? settings + ["diffusion.condition=false"] : settings)
      let shape = ImageShape(height: 4, width: 8, channels: 3)
      let vae = VAE(configuration.vae, pixels: shape.count, seed: 0)
      #expect(configuration.vae.footprint(pixels: shape.count).parameters == vae.parameterCount)
      let network = configuration.network(shape: shape)
      let footprint = configuration.footprint(of: .denoiser, shape: shape)
      #expect(footprint.parameters == network.parameterCount)
    }
  }

  @Test("The loss of a constant error is its square times the mean weight, in all pairs")
  func lossOfConstantError() throws {
    let slice = slice(rows: 50)
    let x0 = slice.examples.affine(2, -1)
    // The same draws as the objective's.
    let noise = slice.stream(.diffusionNoise).normal(rows: slice.rows, columns: Self.pixels)
    let timesteps = slice.stream(.timestep).integers(rows: slice.rows, below: 50)
    for target in PredictionTarget.allCases {
      for weight in LossWeight.allCases {
        var settings = DiffusionSettings()
        (settings.steps, settings.formulation, settings.condition) = (50, .unconditional, false)
        (settings.target, settings.loss, settings.gamma) = (target, weight, 0.7)
        let process = try DiffusionProcess(settings)
        var output = process.goal(
          x0, noise: noise, levels: timesteps.map(process.schedule.level))
        output.add(Matrix(output.rows, output.columns, fill: 0.3))
        let loss = DiffusionObjective<Oracle>(process: process, vae: nil)
          .forward(Oracle(output: output), slice).terms[0]
        // The weight times ‖x0-x̂0‖² = σ²/(α c₁ - σ c₀)² e², clipped at 400 times e².
        var expected = 0.0
        for t in timesteps {
          let level = process.schedule.level(t)
          let (alpha, sigma) = (level.alpha, level.sigma)
          let c = target.coefficients(at: level)
          let byOriginal = pow(sigma / (alpha * c.noise - sigma * c.original), 2)
          let before = t > 0 ? process.schedule.level(t - 1) : .clean
          let value = weight.value(at: level, after: before, gamma: 0.7)
          expected += 0.09 / 50 * min(400, byOriginal * value)
        }
        #expect(abs(loss - expected) < 1e-4 * expected, "\(target) \(weight): \(loss)")
      }
    }
  }

  @Test("A prediction outside of the data's range is clipped as an image, whatever y is")
  func clipping() throws {
    let reconstruction = normal(4, 6, seed: 3)
    let wild = normal(4, 6, seed: 1).affine(3, 0)
    for formulation in Formulation.allCases {
      for clips in [true, false] {
        var settings = DiffusionSettings()
        (settings.formulation, settings.clip) = (formulation, clips)
        let process = try DiffusionProcess(settings)
        let y0 = try process.denoise(
          normal(4, 6, seed: 2), at: process.schedule.level(300), Oracle(output: wild),
          Known(reconstruction: reconstruction))
        var expected = formulation.image(fromChain: wild, reconstruction)
        if clips { expected = expected.clamped(to: -1...1) }
        #expect(distance(formulation.image(fromChain: y0, reconstruction), expected) < 1e-5)
      }
    }
    let process = try DiffusionProcess(DiffusionSettings())
    let broken = Oracle(output: Matrix(4, 6, fill: .nan))
    #expect(
      problem { try process.denoise(wild, at: process.schedule.level(3), broken, .nothing) }
        .contains("not finite"))
  }

  /// A network whose answer is known.
  struct Oracle: Denoiser {
    let output: Matrix
    func forward(
      _ x: Matrix, condition: Condition, timesteps: [Double], dropout: Dropout?
    ) -> (output: Matrix, residuals: Int) { (output, 0) }
    func backward(_ dOutput: Matrix, _ residuals: Int, _ gradients: inout Gradients) {}
    mutating func visit(
      _ path: String, _ body: (String, inout Parameter) throws -> Void
    ) rethrows {}
  }

  @Test(
    "With the exact x0, denoising returns it, for every process, target and formulation",
    arguments: ScheduleKind.allCases)
  func recovery(schedule: ScheduleKind) throws {
    let x0 = normal(4, 6, seed: 1).clamped(to: -1...1)
    let (noise, reconstruction) = (normal(4, 6, seed: 2), normal(4, 6, seed: 3))
    for formulation in Formulation.allCases {
      for target in PredictionTarget.allCases {
        var settings = DiffusionSettings()
        (settings.formulation, settings.target) = (formulation, target)
        settings.schedule = schedule
        let process = try DiffusionProcess(settings)
        let y0 = formulation.chain(fromImage: x0, reconstruction)
        let levels = [Level](repeating: process.schedule.level(300), count: 4)
        let y = process.diffuse(y0, noise: noise, levels: levels)
        let goal = process.goal(y0, noise: noise, levels: levels)
        let found = try process.denoise(
          y, at: process.schedule.level(300), Oracle(output: goal),
          Known(reconstruction: reconstruction))
        #expect(distance(found, y0) < 2e-5, "\(schedule) \(formulation) \(target)")
      }
    }
  }

  @Test("At zero terminal SNR y is noise alone, and original and velocity still say x0")
  func pureNoise() throws {
    let (x0, noise) = (normal(4, 6, seed: 1).clamped(to: -1...1), normal(4, 6, seed: 2))
    for target in [PredictionTarget.original, .velocity] {
      var settings = DiffusionSettings()
      (settings.target, settings.zeroSNR) = (target, true)
      let process = try DiffusionProcess(settings)
      let levels = [Level](repeating: process.schedule.level(999), count: 4)
      let y = process.diffuse(x0, noise: noise, levels: levels)
      let goal = process.goal(x0, noise: noise, levels: levels)
      #expect(y == noise)
      let found = try process.denoise(
        y, at: process.schedule.level(999), Oracle(output: goal), .nothing)
      #expect(distance(found, x0) < 1e-6, "\(target)")
    }
  }
}

/// Largest absolute difference of two matrices of one shape.
func distance(_ a: Matrix, _ b: Matrix) -> Float {
  precondition(a.rows == b.rows && a.columns == b.columns)
  return zip(a.elements, b.elements).map { abs($0 - $1) }.max() ?? 0
}

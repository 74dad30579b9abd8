import Diffusion
import Neural
import Testing

@testable import DiffuseVAE

/// Rows of a matrix to train on.
private struct Points: Examples {
  let points: Matrix
  var count: Int { points.rows }
  func rows(at indices: some Collection<Int>) -> Matrix { points.rows(at: indices) }
}

@Suite("Consistency model") struct ConsistencyTests {
  private func settings(_ formulation: DiffusionSettings.Formulation) -> DiffusionSettings {
    var settings = DiffusionSettings()
    (settings.steps, settings.formulation) = (50, formulation)
    settings.condition = formulation != .unconditional
    settings.clip = false
    return settings
  }

  private func network(pixels: Int, conditional: Bool, width: Int = 24) -> MLPDenoiser {
    var settings = DenoiserSettings()
    (settings.width, settings.blocks, settings.features, settings.embedding) = (width, 2, 16, 16)
    return MLPDenoiser(
      settings, pixels: pixels, conditional: conditional, timesteps: 50, seed: 3)
  }

  // With two levels the goal is at the boundary, and does not move with the weights.
  @Test("Derivatives agree with finite differences", arguments: [nil, 0.1])
  func gradients(teacher: Float?) throws {
    let vae = VAE(try small().vae, pixels: 6, seed: 1)
    let network = network(pixels: 6, conditional: true).shaken(0.1)
    for formulation in [DiffusionSettings.Formulation.concat, .residual] {
      let stage = DiffusionObjective<MLPDenoiser>(
        process: try DiffusionProcess(settings(formulation)), vae: vae)
      let objective = try ConsistencyObjective(
        stage, teacher: teacher.map { network.shaken($0) }, levels: 2)
      let slice = Slice(
        examples: normal(5, 6, seed: 3).sigmoid(), rows: 0..<5, batch: 5, seed: 8, step: 2)
      for (name, error) in worstGradientError(objective, network, slice) {
        #expect(error < 5e-3, "\(name) \(formulation)")
      }
    }
  }

  @Test("The teacher's step is DDIM's: the loss is that of a goal computed by hand")
  func goal() throws {
    let process = try DiffusionProcess(settings(.unconditional))
    let stage = DiffusionObjective<MLPDenoiser>(process: process, vae: nil)
    let network = network(pixels: 6, conditional: false).shaken(0.1)
    let teacher = network.shaken(0.1)
    let examples = normal(1, 6, seed: 3).sigmoid()
    let slice = Slice(examples: examples, rows: 0..<1, batch: 1, seed: 8, step: 2)
    let found = try ConsistencyObjective(stage, teacher: teacher, levels: 2)
      .forward(network, slice).terms[0]

    let (first, last) = (process.schedule.level(49), process.schedule.level(0))
    let noise = slice.stream(.diffusionNoise).normal(rows: 0..<1, columns: 6)
    let y = Matrix.combine(first.alpha, examples.affine(2, -1), first.sigma, noise)
    let x0 = try process.denoise(y, at: first, teacher, .nothing)
    // ε = (y - α x0)/σ; next = α' x0 + σ' ε; the answer at the boundary is next/α'.
    let ratio = last.sigma / first.sigma
    let next = Matrix.combine(last.alpha - ratio * first.alpha, x0, ratio, y)
    let answer = try process.denoise(y, at: first, network, .nothing)
    let (rho, epsilon) = (first.sigma / first.alpha, last.sigma / last.alpha)
    let share = 0.25 / ((rho - epsilon) * (rho - epsilon) + 0.25)
    let f = Matrix.combine(share / first.alpha, y, 1 - share, answer)
    let c = 0.00054 * 6.0.squareRoot()
    let difference = Matrix.combine(1, f, -1 / last.alpha, next)
    let expected = (difference.squaredNorm + c * c).squareRoot() - c
    #expect(abs(found - expected) < 1e-5 * expected, "\(found), not \(expected)")
  }

  @Test("consistency model: trained on N(m, s²), f is m + (x - m) √((s² + ε²)/(s² + ρ²))")
  func gaussian() throws {
    let (mean, deviation) = (0.3, 0.5)
    let process = try DiffusionProcess(settings(.unconditional))
    let stage = DiffusionObjective<MLPDenoiser>(process: process, vae: nil)
    // In [0, 1] as images are, which the process sees in [-1, 1].
    let examples = Points(
      points: normal(4000, 1, seed: 5).affine(Float(deviation / 2), Float((mean + 1) / 2)))
    var training = StageSettings(steps: 1500, batch: 200, rate: 3e-3, warmup: 20, ema: 0.99)
    training.finalRatio = 0.01
    func trained<Goal: Objective>(_ objective: Goal, _ network: Goal.Network) throws -> Goal.Network
    {
      var trainer = try Trainer(
        objective, network, examples: examples, settings: training, lanes: 1, seed: 1, threads: 1)
      while !trainer.isFinished { _ = try trainer.advance() }
      return trainer.network.averaged
    }
    let teacher = try trained(stage, network(pixels: 1, conditional: false, width: 32))
    for distils in [true, false] {
      let objective = try ConsistencyObjective(
        stage, teacher: distils ? teacher : nil, levels: 25)
      let student = try trained(objective, teacher)
      let boundary = process.schedule.level(0)
      let function = ConsistencyFunction(boundary: boundary)
      let epsilon = boundary.sigma / boundary.alpha
      for timestep in [10, 25, 40, 49] {
        let level = process.schedule.level(timestep)
        let rho = level.sigma / level.alpha
        let spread = (deviation * deviation + rho * rho).squareRoot()
        let slope = (deviation * deviation + epsilon * epsilon).squareRoot() / spread
        for place in [-1.5, -0.5, 0.5, 1.5] {
          let y = Matrix(1, 1, [Float(level.alpha * (mean + place * spread))])
          let x0 = try process.denoise(y, at: level, student, .nothing)
          let coefficients = function.coefficients(at: level)
          let f = Matrix.combine(coefficients.sample, y, coefficients.original, x0)[0, 0]
          let expected = mean + place * spread * slope
          #expect(
            abs(Double(f) - expected) < 0.12,
            "\(distils) t = \(timestep): \(f), expected \(expected)")
        }
      }
    }
  }

  /// The consistency function of data that is one black image: its path from x, to the boundary.
  private struct Black: Denoiser {
    let schedule: NoiseSchedule

    func forward(
      _ x: Matrix, condition: Condition, timesteps: [Double], dropout: Dropout?
    ) -> (output: Matrix, residuals: Int) {
      let boundary = schedule.level(0)
      var (factors, offsets): ([Float], [Float]) = ([], [])
      for level in timesteps.map(schedule.level(timestep:)) {
        // f = -1 + ρ n with the n of x = -α + σ n, and D of f = s x + (1 - s) D.
        let slope = boundary.sigma / boundary.alpha / level.sigma
        let c = ConsistencyFunction(boundary: boundary).coefficients(at: level)
        factors.append(Float((slope - c.sample) / c.original))
        offsets.append(Float((slope * level.alpha - 1) / c.original))
      }
      var output = x
      output.scaleRows(
        factors, adding: offsets, Matrix(x.rows, x.columns, fill: 1))
      return (output, 0)
    }
    func backward(_ dOutput: Matrix, _ residuals: Int, _ gradients: inout Gradients) {}
    func visit(_ path: String, _ body: (String, inout Parameter) throws -> Void) {}
  }

  @Test("Of an exact function any number of steps draws the data to the boundary's noise")
  func exact() throws {
    let configuration = try small(
      "diffusion.formulation=none", "consistency.kind=training", "consistency.levels=9")
    #expect(configuration.diffusion.clip)
    let black = Black(schedule: try DiffusionProcess(configuration.diffusion).schedule)
    let model = try Model(
      configuration, shape: ImageShape(height: 4, width: 4, channels: 1), vae: nil,
      denoiser: black, consistency: black)
    let boundary = black.schedule.level(0)
    for steps in [1, 2, 5, 10] {
      var options = SamplingOptions(configuration.sampling, threads: 2)
      (options.sampler, options.steps) = (.consistency, steps)
      let pixels = try Generator(model, options).images(0..<50).elements
      // Of 800 normal numbers none is beyond 4.5.
      let largest = 4.5 * boundary.sigma / boundary.alpha / 2
      #expect(pixels.allSatisfy { Double($0) < largest }, "\(steps): \(pixels.max() ?? 0)")
    }
  }

  @Test("A run with one samples from it; one without says what to do")
  func run() throws {
    try inTemporaryFolder { runs in
      let plain = try small()
      let run = try trainedRun(in: runs, plain)
      var options = SamplingOptions(plain.sampling, threads: 1)
      (options.sampler, options.steps) = (.consistency, 1)
      let text = problem { try Generator(Model(of: run), options) }
      #expect(text.contains("set consistency.kind in its config.yaml, and --resume"))

      // Its grids are drawn without the guidance that the second stage's are drawn with.
      let configuration = try small(
        "consistency.kind=training", "training.consistency.steps=4",
        "training.consistency.batch=50", "diffusion.drop_reconstruction=0.5",
        "sampling.guidance=1")
      let model = try Model(of: trainedRun(in: runs, name: "consistent", configuration))
      options.guidanceWeight = 0
      let generator = try Generator(model, options)
      let images = try generator.images(0..<3)
      #expect(images.isFinite && images.rows(0..<1) != images.rows(1..<2))
      #expect(generator.evaluations == 1)
    }
  }
}

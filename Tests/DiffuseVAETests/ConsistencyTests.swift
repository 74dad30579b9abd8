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

  // The goal does not move with the weights: without a teacher that is so at one level only.
  @Test("Derivatives agree with finite differences", arguments: [nil, 0.1])
  func gradients(teacher: Float?) throws {
    let vae = VAE(try small().vae, pixels: 6, seed: 1)
    let network = network(pixels: 6, conditional: true).shaken(0.1)
    for formulation in [DiffusionSettings.Formulation.concat, .residual] {
      let stage = DiffusionObjective<MLPDenoiser>(
        process: try DiffusionProcess(settings(formulation)), vae: vae)
      let objective = try ConsistencyObjective(
        stage, teacher: teacher.map { network.shaken($0) }, levels: teacher == nil ? 1 : 3)
      let slice = Slice(
        examples: normal(5, 6, seed: 3).sigmoid(), rows: 0..<5, batch: 5, seed: 8, step: 2)
      for (name, error) in worstGradientError(objective, network, slice) {
        #expect(error < 5e-3, "\(name) \(formulation)")
      }
    }
  }

  @Test("The loss is that of a goal computed by hand", arguments: [true, false])
  func goal(distils: Bool) throws {
    let process = try DiffusionProcess(settings(.unconditional))
    let stage = DiffusionObjective<MLPDenoiser>(process: process, vae: nil)
    let network = network(pixels: 6, conditional: false).shaken(0.1)
    let teacher = network.shaken(0.1)
    let examples = normal(1, 6, seed: 3).sigmoid()
    let objective = try ConsistencyObjective(
      stage, teacher: distils ? teacher : nil, levels: 3)
    #expect(objective.levels.map(\.timestep) == [49, 24, 0, -1])
    var places = Set<Int>()
    for step in 0..<12 {
      let slice = Slice(examples: examples, rows: 0..<1, batch: 1, seed: 8, step: step)
      let place = slice.stream(.timestep).integers(rows: 0..<1, below: 3)[0]
      places.insert(place)
      let (level, next) = (objective.levels[place], objective.levels[place + 1])
      let image = examples.affine(2, -1)
      let noise = slice.stream(.diffusionNoise).normal(rows: 0..<1, columns: 6)
      let y = Matrix.combine(level.alpha, image, level.sigma, noise)
      var goal: Matrix
      if distils {
        goal = y
        for (level, next) in zip(objective.levels, objective.levels.dropFirst()).dropFirst(place) {
          let x0 = try process.denoise(goal, at: level, teacher, .nothing)
          // ε = (y - α x0)/σ; y' = α' x0 + σ' ε
          let ratio = next.sigma / level.sigma
          goal = Matrix.combine(next.alpha - ratio * level.alpha, x0, ratio, goal)
        }
      } else if place == 2 {
        goal = image
      } else {
        let cleaner = Matrix.combine(next.alpha, image, next.sigma, noise)
        goal = try process.denoise(cleaner, at: next, network, .nothing)
      }
      let difference = Matrix.combine(
        1, try process.denoise(y, at: level, network, .nothing), -1, goal)
      let c = 0.00054 * 6.0.squareRoot()
      let expected = (difference.squaredNorm + c * c).squareRoot() - c
      let found = objective.forward(network, slice).terms[0]
      #expect(abs(found - expected) < 1e-5 * expected, "\(found), not \(expected)")
    }
    #expect(places == [0, 1, 2])
  }

  // Along DDIM's path x - m shrinks by (s² + ρρ')/(s² + ρ²) from ρ to ρ', and so does the mean of what
  // the same noise leaves at ρ' of all x0 that x may have come from.
  @Test(
    "consistency model: trained on N(m, s²), f - m is x - m times (s² + ρρ')/(s² + ρ²) of all levels",
    arguments: [true, false])
  func gaussian(distils: Bool) throws {
    let (mean, variance) = (0.3, 0.25)
    var settings = settings(.unconditional)
    settings.target = .velocity
    let process = try DiffusionProcess(settings)
    let stage = DiffusionObjective<MLPDenoiser>(process: process, vae: nil)
    // In [0, 1] as images are, which the process sees in [-1, 1].
    let examples = Points(
      points: normal(4000, 1, seed: 5)
        .affine(Float(variance.squareRoot() / 2), Float((mean + 1) / 2)))
    func trained<Goal: Objective>(
      _ objective: Goal, _ network: Goal.Network, rate: Double
    ) throws -> Goal.Network {
      var training = StageSettings(steps: 1500, batch: 200, rate: rate, warmup: 20, ema: 0.99)
      training.finalRatio = 0.01
      var trainer = try Trainer(
        objective, network, examples: examples, settings: training, lanes: 1, seed: 1, threads: 1)
      while !trainer.isFinished { _ = try trainer.advance() }
      return trainer.network.averaged
    }
    let teacher = try trained(
      stage, network(pixels: 1, conditional: false, width: 32), rate: 3e-3)
    let objective = try ConsistencyObjective(
      stage, teacher: distils ? teacher : nil, levels: 8)
    let student = try trained(objective, teacher, rate: 1e-3)
    func rho(_ level: Level) -> Double { level.sigma / level.alpha }
    var slope = 1.0
    for (level, next) in zip(objective.levels, objective.levels.dropFirst()).reversed() {
      let spread = variance + rho(level) * rho(level)
      slope *= (variance + rho(level) * rho(next)) / spread
      for place in [-1.5, -0.5, 0.5, 1.5] {
        let y = Matrix(1, 1, [Float(level.alpha * (mean + place * spread.squareRoot()))])
        let f = try process.denoise(y, at: level, student, .nothing)[0, 0]
        let expected = mean + place * spread.squareRoot() * slope
        #expect(
          abs(Double(f) - expected) < 0.12, "t = \(level.timestep): \(f), expected \(expected)")
      }
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
        "consistency.kind=training", "diffusion.target=velocity",
        "training.consistency.steps=4",
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

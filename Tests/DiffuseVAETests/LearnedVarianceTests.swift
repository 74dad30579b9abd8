import Diffusion
import Formats
import Foundation
import Neural
import Testing

@testable import DiffuseVAE

@Suite("Learned variance of a run") struct LearnedVarianceTests {
  private static let shape = ImageShape(height: 8, width: 4, channels: 2)

  private func settings(_ change: (inout DiffusionSettings) -> Void = { _ in })
    -> DiffusionSettings
  {
    var settings = DiffusionSettings()
    (settings.steps, settings.formulation, settings.condition) = (50, .unconditional, false)
    settings.learnVariance = true
    change(&settings)
    return settings
  }

  private func slice(rows: Int = 7, columns: Int = 6) -> Slice {
    Slice(
      examples: normal(rows, columns, seed: 3).sigmoid(), rows: 0..<rows, batch: rows, seed: 8,
      step: 2)
  }

  /// y and the target that the objective makes of a slice.
  private func drawn(
    _ slice: Slice, _ process: DiffusionProcess
  ) -> (target: Matrix, timesteps: [Int]) {
    let timesteps = slice.stream(.timestep).integers(
      rows: slice.rows, below: process.schedule.steps)
    let noise = slice.stream(.diffusionNoise).normal(
      rows: slice.rows, columns: slice.examples.columns)
    let target = process.goal(
      slice.examples.affine(2, -1), noise: noise, levels: timesteps.map(process.schedule.level))
    return (target, timesteps)
  }

  @Test(
    "The loss is the plain one and a thousandth of the bound, which holds the mean",
    arguments: PredictionTarget.allCases)
  func loss(target: PredictionTarget) throws {
    let process = try DiffusionProcess(settings { $0.target = target })
    let plain = try DiffusionProcess(
      settings {
        $0.target = target
        $0.learnVariance = false
      })
    // 60 rows: the first timestep, whose step is into clean data, is among them.
    let slice = slice(rows: 60)
    let (goal, timesteps) = drawn(slice, process)
    #expect(timesteps.contains(0))
    let prediction = Matrix.combine(1, goal, 0.1, normal(60, 6, seed: 5))
    let said = normal(60, 6, seed: 6)
    func forward(_ said: Matrix) -> (terms: [Double], derivative: Matrix) {
      let objective = DiffusionObjective<ModelTests.Oracle>(process: process, vae: nil)
      let network = ModelTests.Oracle(output: prediction.joined(said))
      let (terms, residuals) = objective.forward(network, slice)
      #expect(objective.terms == ["loss", "vlb"])
      return (terms, residuals.derivative)
    }
    let (simple, residuals) = DiffusionObjective<ModelTests.Oracle>(process: plain, vae: nil)
      .forward(ModelTests.Oracle(output: prediction), slice)
    let (terms, derivative) = forward(said)

    var bound = 0.0
    for (row, t) in timesteps.enumerated() {
      let level = process.schedule.level(t)
      let variance = LearnedVariance(
        from: level, to: t > 0 ? process.schedule.level(t - 1) : .clean,
        after: process.schedule.level(1))
      for i in 0..<6 {
        let error = Double(prediction[row, i]) - Double(goal[row, i])
        bound += variance.loss(
          (Double(said[row, i]) + 1) / 2,
          squaredError: target.originalError(at: level) * error * error)
      }
    }
    bound *= 50 / (60 * 6)
    #expect(abs(terms[1] - bound) < 1e-4 * abs(bound), "\(terms[1]), not \(bound)")
    let sum = simple[0] + 0.001 * terms[1]
    #expect(abs(terms[0] - sum) < 1e-6 * (simple[0] + 0.001 * abs(bound)), "\(terms[0])")

    // The mean: as if there were no bound. v: the bound's slope.
    #expect(derivative.columns(0..<6) == residuals.derivative)
    let byV = derivative.columns(6..<12)
    let norm = byV.squaredNorm.squareRoot()
    for var direction in [byV, normal(60, 6, seed: 7)] {
      direction.scale(Float(1 / direction.squaredNorm.squareRoot()))
      let step = 1e-2
      let losses = [step, -step].map {
        0.001 * forward(.combine(1, said, $0, direction)).terms[1]
      }
      let slope = (losses[0] - losses[1]) / (2 * step)
      #expect(abs(slope - byV.dot(direction)) < 3e-3 * norm, "\(slope)")
    }
  }

  /// A loss that is linear in the output, so that its derivatives are the network's own.
  private struct Linear<Network: Denoiser>: Objective {
    let direction: Matrix
    let terms = ["loss"]
    func forward(
      _ network: Network, _ slice: Slice
    ) -> (terms: [Double], residuals: Network.Residuals) {
      let timesteps = slice.stream(.timestep).integers(rows: slice.rows, below: 50)
        .map { Double($0) }
      let (output, residuals) = network.forward(
        slice.examples, condition: .none, timesteps: timesteps, dropout: nil)
      return ([output.dot(direction)], residuals)
    }
    func backward(
      _ network: Network, _ residuals: consuming Network.Residuals,
      _ gradients: inout Gradients
    ) { network.backward(direction, residuals, &gradients) }
  }

  private func configuration(_ settings: String...) throws -> Configuration {
    try small(["diffusion.formulation=none", "diffusion.learn_variance=true"] + settings)
  }

  @Test(
    "Derivatives of a network with two outputs agree with finite differences",
    arguments: DenoiserSettings.Kind.learned)
  func gradients(kind: DenoiserSettings.Kind) throws {
    func check<Network: Denoiser>(_ network: Network) {
      let objective = Linear<Network>(direction: normal(3, 2 * Self.shape.count, seed: 9))
      let errors = worstGradientError(
        objective, network.shaken(0.1), slice(rows: 3, columns: Self.shape.count))
      for (name, error) in errors { #expect(error < 5e-3, "\(name)") }
    }
    try check(configuration("denoiser.kind=\(kind)").network(shape: Self.shape))
  }

  @Test(
    "The target of all pixels comes first, then v; sampling computes what training does",
    arguments: DenoiserSettings.Kind.learned)
  func layout(kind: DenoiserSettings.Kind) throws {
    let initial = try configuration("denoiser.kind=\(kind)").network(shape: Self.shape)
    let (x, count) = (normal(2, Self.shape.count, seed: 1), Self.shape.count)
    func outputs(_ network: some Denoiser) -> [Matrix] {
      [
        network.forward(x, condition: .none, timesteps: [7, 7], dropout: nil).output,
        network.predict(x, condition: .none, timestep: 7),
      ]
    }
    for output in outputs(initial) { #expect(output == Matrix(2, 2 * count)) }
    var network = initial
    network.visitParameters { name, parameter in
      guard name == "output.bias" else { return }
      for i in 0..<parameter.count { parameter.value.elements[i] = Float(i) }
    }
    for output in outputs(network) {
      for (i, found) in output.rows(1..<2).elements.enumerated() {
        // Of a U-Net a bias is of a channel: 0 and 1 of the target, 2 and 3 of v.
        #expect(found == Float(kind == .mlp ? i : i % 2 + (i < count ? 0 : 2)))
      }
    }
    let both = outputs(network.shaken(0.1))
    #expect(distance(both[0], both[1]) < 1e-5)
  }

  /// A network that shrinks, and says the same v everywhere.
  private struct Constant: Denoiser {
    let v: Float
    func forward(
      _ x: Matrix, condition: Condition, timesteps: [Double], dropout: Dropout?
    ) -> (output: Matrix, residuals: Int) {
      (x.affine(0.5, 0).joined(Matrix(x.rows, x.columns, fill: 2 * v - 1)), 0)
    }
    func vectorJacobianProduct(
      _ v: Matrix, at x: Matrix, condition: Condition, timestep: Double
    ) -> (output: Matrix, product: Matrix) {
      #expect(v.columns(x.columns..<2 * x.columns).squaredNorm == 0)
      return (
        predict(x, condition: condition, timestep: timestep),
        v.columns(0..<x.columns).affine(0.5, 0)
      )
    }
    func backward(_ dOutput: Matrix, _ residuals: Int, _ gradients: inout Gradients) {}
    mutating func visit(
      _ path: String, _ body: (String, inout Parameter) throws -> Void
    ) rethrows {}
  }

  private func model(v: Float) throws -> Model {
    try Model(
      configuration("sampling.sampler=ddpm", "diffusion.schedule=linear"),
      shape: ImageShape(height: 4, width: 4, channels: 1), vae: nil, denoiser: Constant(v: v))
  }

  @Test(
    "ddpm by v = 0 draws what small draws, bit for bit, by v = 1 what large draws",
    arguments: [2, 7, 50])
  func sampling(steps: Int) throws {
    func images(_ variance: ReverseVariance, v: Float) throws -> Matrix {
      var options = SamplingOptions(SamplingSettings(), threads: 2)
      (options.sampler, options.variance, options.steps) = (.ddpm, variance, steps)
      let generator = try Generator(model(v: v), options)
      let images = try generator.images(0..<5)
      #expect(generator.evaluations == Double(steps))
      return images
    }
    let (small, large) = (try images(.small, v: 0.3), try images(.large, v: 0.3))
    #expect(try images(.learned, v: 0) == small)
    #expect(try distance(images(.learned, v: 1), large) < 1e-5)
    #expect(try distance(images(.learned, v: 0.5), small) > 1e-3)
  }

  @Test("The bound by v = 0 has small's divergence, by v = 1 it is large's; the flow knows no v")
  func likelihood() throws {
    let images = TestBed.gaussian.images(0..<20)
    var options = LikelihoodOptions(threads: 2)
    (options.draws, options.flowSteps) = (20, 2)
    func likelihoods(v: Float) throws -> [ImageLikelihood] {
      try LikelihoodEstimator(model(v: v), options).likelihoods(of: images, [0, 3, 17])
    }
    let (zero, one) = (try likelihoods(v: 0), try likelihoods(v: 1))
    for (zero, one) in zip(zero, one) {
      #expect(zero.bounds.keys.sorted { $0.rawValue < $1.rawValue } == [.large, .learned, .small])
      let small = try #require(zero.bounds[.small])
      let learned = try #require(zero.bounds[.learned])
      #expect(learned.prior == small.prior)
      #expect(abs(learned.diffusion - small.diffusion) < 1e-4 * small.diffusion)
      let (large, other) = (one.bounds[.large]?.total ?? .nan, one.bounds[.learned]?.total ?? .nan)
      #expect(abs(other - large) < 1e-4 * large, "\(other), not \(large)")
      #expect(zero.flow == one.flow && zero.flow.isFinite)
    }
  }

  @Test("Trained on N(m, s²), the network chooses nearly as well as the analytic variance")
  func gaussian() throws {
    struct Points: Examples {
      let points: Matrix
      var count: Int { points.rows }
      func rows(at indices: some Collection<Int>) -> Matrix { points.rows(at: indices) }
    }
    let (mean, deviation) = (0.3, 0.1)
    let process = try DiffusionProcess(settings { $0.clip = false })
    let examples = Points(
      points: normal(4000, 1, seed: 5).affine(Float(deviation / 2), Float((mean + 1) / 2)))
    var denoiser = DenoiserSettings()
    (denoiser.width, denoiser.blocks, denoiser.features, denoiser.embedding) = (32, 2, 16, 16)
    var training = StageSettings(steps: 1500, batch: 200, rate: 3e-3, warmup: 20, ema: 0.99)
    training.finalRatio = 0.01
    var trainer = try Trainer(
      DiffusionObjective<MLPDenoiser>(process: process, vae: nil),
      MLPDenoiser(
        denoiser, pixels: 1, conditional: false, timesteps: 50, seed: 3, learnsVariance: true),
      examples: examples, settings: training, lanes: 1, seed: 1, threads: 1)
    while !trainer.isFinished { _ = try trainer.advance() }
    let network = trainer.network.averaged
    // What the steps cost more than with the best variance, in nats, by what is chosen at three
    // places, by v = 0 and by v = 1.
    var excess = [0.0, 0, 0]
    for (timestep, variance) in try #require(process.variances).enumerated() {
      let level = process.schedule.level(timestep)
      let total = level.alphaBar * deviation * deviation + level.variance
      let squaredError = deviation * deviation * level.variance / total
      func cost(_ v: Double) -> Double { variance.loss(v, squaredError: squaredError) }
      let best = cost(log(variance.known + variance.error * squaredError) / variance.range)
      let places = [-1, 0, 1].map { Float(level.alpha * mean + $0 * total.squareRoot()) }
      let v = try process.estimate(Matrix(3, 1, places), at: level, network, .nothing).v
      let chosen = try #require(v).elements.map { cost(Double($0)) }
      excess[0] += chosen.reduce(0, +) / 3 - best
      excess[1] += cost(0) - best
      excess[2] += cost(1) - best
    }
    #expect(excess[0] < 0.1 * excess[1] && excess[0] < 0.1 * excess[2], "\(excess)")
  }

  @Test(
    "A run learns it, draws by it and is the same with any threads; one without says so",
    arguments: ["mlp", "unet"])
  func run(kind: String) throws {
    try inTemporaryFolder { runs in
      let settings = [
        "denoiser.kind=\(kind)", "diffusion.learn_variance=true", "sampling.sampler=ddpm",
        "sampling.variance=learned", "diffusion.timesteps=importance",
        "diffusion.formulation=residual",
      ]
      let files = try [1, 3].map { threads in
        let run = try trainedRun(
          in: runs, name: "threads-\(threads)", small(settings), threads: threads)
        return try File.read(run.weightsFile(.denoiser))
      }
      #expect(files[0] == files[1])
      let run = try Run.open("threads-1", in: runs)
      let model = try Model(of: run)
      let images = try Generator(model, SamplingOptions(model.configuration.sampling, threads: 2))
        .images(0..<3)
      #expect(images.isFinite)
      let metrics = String(decoding: try File.read(run.metricsFile), as: UTF8.self)
      #expect(metrics.contains("\"vlb\":") && metrics.contains("\"test_vlb\":"))
    }
    try inTemporaryFolder { runs in
      guard kind == "mlp" else { return }
      let model = try Model(of: trainedRun(in: runs, small()))
      var options = SamplingOptions(SamplingSettings(), threads: 1)
      (options.sampler, options.variance, options.steps) = (.ddpm, .learned, 5)
      #expect(
        problem { try Generator(model, options) }
          .contains("variance learned is for runs with diffusion.learn_variance"))
    }
  }
}

import Diffusion
import Formats
import Foundation
import Neural
import Testing

@testable import DiffuseVAE

@Suite struct LikelihoodTests {
  private func options(
    draws: Int = 100, flowSteps: Int = 20, threads: Int = 2
  ) -> LikelihoodOptions {
    var options = LikelihoodOptions(threads: threads)
    (options.draws, options.flowSteps) = (draws, flowSteps)
    return options
  }

  /// Mean and its standard error.
  private func moments(_ terms: [Double]) -> (mean: Double, error: Double) {
    let n = Double(terms.count)
    let mean = terms.reduce(0, +) / n
    let squares = terms.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
    return (mean, (squares / n / (n - 1)).squareRoot())
  }

  /// `-ln P` of N(0, 0.2²) for every image, in nats.
  private func exact(_ images: ByteImages, _ indices: [Int]) -> [Double] {
    indices.map { index in
      images.bytes[16 * index..<16 * (index + 1)].reduce(0) {
        $0 - logProbability(ofByte: $1, mean: 0, deviation: 0.2)
      }
    }
  }

  /// What the bound for N(0, s²) exceeds the entropy by, a dimension.
  private func gap(_ schedule: NoiseSchedule, _ variance: ReverseVariance) -> Double {
    let (s, bar) = (0.04, schedule.alphaBar)
    func posterior(_ t: Int) -> Double { s / (1 + s * bar[t] / (1 - bar[t])) }
    var sum = (bar[bar.count - 1] * s - bar[bar.count - 1] - log(1 - bar[bar.count - 1])) / 2
    for t in 1..<bar.count {
      let beta = 1 - bar[t] / bar[t - 1]
      let small = (1 - bar[t - 1]) / (1 - bar[t]) * beta
      let ratio = variance == .small ? 1 : small / beta
      let share = bar[t - 1].squareRoot() * beta / (1 - bar[t])
      sum += (ratio - 1 - log(ratio) + share * share * posterior(t) * ratio / small) / 2
    }
    sum += (log(2 * .pi * (1 - bar[0])) + posterior(0) / (1 - bar[0])) / 2
    return sum - log(2 * .pi * M_E * s) / 2
  }

  /// The exact denoiser of N(0, s² I) for data that x̂0 says nothing of: it undoes what a formulation
  /// does with x̂0.
  private struct Undoing: Denoiser {
    let exact: ExactDenoiser
    let process: DiffusionProcess

    /// α x0 + σ ε in what the network is shown: y + x̂0, where a residual's y is that less α x̂0.
    private func sample(_ x: Matrix, _ condition: Condition, _ times: [Double]) -> Matrix {
      guard let image = condition.image else { return x }
      let added: [Float] = times.map {
        switch process.formulation {
        case .concat, .unconditional: 0
        case .centred: -1
        case .residual: Float(process.schedule.level(timestep: $0).alpha) - 1
        }
      }
      var sample = x
      sample.scaleRows([Float](repeating: 1, count: x.rows), adding: added, image)
      return sample
    }
    /// y0 of the x0 that is expected.
    private func answer(_ x0: Matrix, _ condition: Condition) -> Matrix {
      process.formulation.chain(fromImage: x0, condition.image)
    }
    func forward(
      _ x: Matrix, condition: Condition, timesteps: [Double], dropout: Dropout?
    ) -> (output: Matrix, residuals: Int) {
      let found = exact.forward(
        sample(x, condition, timesteps), condition: .none, timesteps: timesteps, dropout: nil)
      return (answer(found.output, condition), 0)
    }
    func vectorJacobianProduct(
      _ v: Matrix, at x: Matrix, condition: Condition, timestep: Double
    ) -> (output: Matrix, product: Matrix) {
      let times = [Double](repeating: timestep, count: x.rows)
      let (x0, product) = exact.vectorJacobianProduct(
        v, at: sample(x, condition, times), condition: .none, timestep: timestep)
      return (answer(x0, condition), product)
    }
    func backward(_ dOutput: Matrix, _ residuals: Int, _ gradients: inout Gradients) {}
    func visit(_ path: String, _ body: (String, inout Parameter) throws -> Void) {}
  }

  /// A model of the Gaussian set that is right whatever x̂0 is: its VAE knows nothing.
  private func exactModel(_ formulation: Formulation) throws -> Model {
    let settings = ["diffusion.steps=100", "sampling.steps=5", "diffusion.target=original"]
    let known = try TestBedTests.model(.gaussian, settings)
    guard formulation != .unconditional else { return known }
    let configuration = try Configuration(
      yaml: "", name: "exact",
      overriding: [
        "data.set=gaussian", "diffusion.schedule=linear", "vae.hidden=[8]", "vae.latent=2",
        "diffusion.formulation=\(formulation.rawValue)",
      ] + settings)
    let vae = VAE(configuration.vae, pixels: TestBed.shape.count, seed: 1).shaken(0.3)
    return try Model(
      configuration, shape: TestBed.shape, vae: vae,
      denoiser: Undoing(
        exact: ExactDenoiser(known.configuration, shape: TestBed.shape),
        process: DiffusionProcess(configuration.diffusion)))
  }

  @Test(
    "Of N(0, s² I) by its exact denoiser: the flow's are exact, the bounds' gaps are as computed",
    arguments: Formulation.allCases)
  func gaussian(formulation: Formulation) throws {
    let model = try exactModel(formulation)
    let images = TestBed.gaussian.images(0..<80)
    let indices = Array(0..<80)
    let found = try LikelihoodEstimator(model, options()).likelihoods(of: images, indices)
    let exact = exact(images, indices)
    let flow = moments(zip(found, exact).map { ($0.flow - $1) / 16 })
    // The first level's noise, of variance 0.001, and two roundings cost (v/s²)²/4 and step²/12 s².
    let cost = pow(0.001 / 0.04, 2) / 4 + pow(2.0 / 255, 2) / 12 / 0.04
    #expect(
      abs(flow.mean - cost) < 4 * flow.error + 2e-4, "flow: expected \(cost), found \(flow)")
    #expect(flow.error < 2e-3)
    // Neither model knows how sure it is, which `analytic` takes.
    for variance in [ReverseVariance.small, .large] {
      let excess = moments(
        zip(found, exact).map { (($0.bounds[variance]?.total ?? .nan) - $1) / 16 })
      let expected = gap(model.process.schedule, variance)
      #expect(
        abs(excess.mean - expected) < 4 * excess.error + 1e-3,
        "\(variance): expected \(expected), found \(excess)")
      #expect(excess.error < 0.08)
    }
  }

  @Test("The flow's mean is the entropy of every set of known density", arguments: TestBed.allCases)
  func entropy(set: TestBed) throws {
    let images = set.images(0..<80)
    let found = try LikelihoodEstimator(TestBedTests.model(set), options(draws: 1, flowSteps: 12))
      .likelihoods(of: images, Array(0..<80))
    let flow = moments(found.map(\.flow))
    #expect(
      abs(flow.mean - set.entropy) < 4 * flow.error + 0.02,
      "expected \(set.entropy), found \(flow)")
    #expect(found.allSatisfy { $0.divergence == nil })
  }

  /// Small networks that were never trained.
  private func model(
    _ settings: String..., prior: LatentPrior = .normal, shaken scale: Float = 0.05
  ) throws -> Model {
    let configuration = try small(settings)
    let shape = ImageShape(height: 8, width: 8, channels: 1)
    let vae = VAE(configuration.vae, pixels: shape.count, seed: 1).shaken(0.1)
    func shaken(_ network: some Denoiser) -> any Denoiser { network.shaken(scale) }
    return try Model(
      configuration, shape: shape, vae: configuration.hasVAE ? vae : nil,
      denoiser: shaken(configuration.network(shape: shape)), prior: prior)
  }

  @Test(
    "The same for any number of threads; an image's are its own",
    arguments: ["concat", "centred", "residual"], ["mlp", "unet"])
  func repeatable(formulation: String, kind: String) throws {
    let model = try model("diffusion.formulation=\(formulation)", "denoiser.kind=\(kind)")
    let images = try #require(try Dataset(DataSettings()).test)
    func likelihoods(_ indices: [Int], threads: Int) throws -> [ImageLikelihood] {
      try LikelihoodEstimator(model, options(draws: 5, flowSteps: 2, threads: threads))
        .likelihoods(of: images, indices)
    }
    let all = try likelihoods(Array(0..<20), threads: 1)
    let again = try likelihoods(Array(0..<20), threads: 3)
    for (a, b) in zip(all, again) {
      #expect(a.flow == b.flow && a.bounds == b.bounds && a.divergence == b.divergence)
      #expect(a.flow.isFinite && a.bounds.values.allSatisfy { $0.total.isFinite })
    }
    let alone = try likelihoods([17], threads: 1)[0]
    #expect(abs(alone.flow - all[17].flow) < 1e-4 * abs(all[17].flow))
    #expect(abs(alone.flow - all[3].flow) > 1e-3 * abs(all[17].flow))
    // Neither model knows how sure it is, which `analytic` takes.
    for variance in [ReverseVariance.small, .large] {
      let totals = [alone, all[17]].map { $0.bounds[variance]?.total ?? .nan }
      #expect(abs(totals[0] - totals[1]) < 1e-4 * abs(totals[1]))
    }
  }

  @Test("Clipping changes the bound, never the flow")
  func clipping() throws {
    let images = try #require(try Dataset(DataSettings()).test)
    let found = try [true, false].map {
      try LikelihoodEstimator(
        model("diffusion.clip=\($0)", shaken: 0.5), options(draws: 5, flowSteps: 2)
      )
      .likelihoods(of: images, [0, 1])
    }
    #expect(found[0].map(\.flow) == found[1].map(\.flow))
    #expect(found[0].map(\.bounds) != found[1].map(\.bounds))
  }

  @Test("The divergence is that of the posterior from the prior, of a mixture by one draw")
  func divergences() throws {
    let images = try #require(try Dataset(DataSettings()).test)
    let indices = Array(0..<200)
    // N(0, I) as a mixture of one.
    let unit = try GaussianMixture(
      weights: [1], means: [0, 0, 0, 0], factors: [1, 1, 1, 1], covariance: .diagonal)
    let found = try [LatentPrior.normal, .mixture(unit)].map {
      try LikelihoodEstimator(model(prior: $0), options(draws: 1, flowSteps: 1))
        .likelihoods(of: images, indices).map { $0.divergence ?? .nan }
    }
    let vae = try #require(try model().vae)
    let posterior = vae.encode(images.pixels(indices), labels: nil)
    for i in indices {
      let expected = (0..<4).reduce(0.0) {
        let (mean, log) = (Double(posterior.mean[i, $1]), Double(posterior.logVariance[i, $1]))
        return $0 + (mean * mean + exp(log) - log - 1) / 2
      }
      #expect(abs(found[0][i] - expected) < 1e-4, "expected \(expected), found \(found[0][i])")
    }
    let difference = moments(zip(found[0], found[1]).map(-))
    #expect(abs(difference.mean) < 4 * difference.error, "\(difference)")
  }

  @Test("Options out of range, and what memory does not hold, are refused")
  func refuses() throws {
    let model = try model("diffusion.steps=100000")
    func problem(_ change: (inout LikelihoodOptions) -> Void) -> String {
      var options = options()
      change(&options)
      return DiffuseVAETests.problem { try LikelihoodEstimator(model, options) }
    }
    #expect(problem { $0.draws = 0 } == "draws is 0; it must be in 1...100000")
    #expect(problem { $0.flowSteps = 10_001 } == "flow-steps is 10001; it must be in 1...10000")
    #expect(
      problem { ($0.draws, $0.threads) = (100_000, 1024) }
        .contains("likelihoods by 100000 draws an image takes about"))
  }
}

import Neural
import Testing

@testable import DiffuseVAE

@Suite struct SamplersTests {
  /// A short training on the built-in digits, made once.
  static let trained = Result {
    try inTemporaryFolder { folder in
      let settings = [
        "training.vae.steps=200", "training.denoiser.steps=400", "training.grids=0",
        "consistency.kind=distillation", "training.consistency.steps=20",
        "training.consistency.batch=50",
      ]
      return try Model(of: trainedRun(in: folder, small(settings)))
    }
  }

  private func generator(_ change: (inout SamplingOptions) -> Void) throws -> Generator {
    let model = try Self.trained.get()
    var options = SamplingOptions(model.configuration.sampling, threads: 2)
    options.batch = 8
    change(&options)
    return try Generator(model, options)
  }

  @Test(
    "Every sampler draws finite images, and image i whatever else is drawn",
    arguments: SamplingSettings.Sampler.allCases)
  func draws(sampler: SamplingSettings.Sampler) throws {
    func generator() throws -> Generator {
      try self.generator { ($0.sampler, $0.churn, $0.corrections) = (sampler, 2, 2) }
    }
    let all = try generator().images(0..<20)
    #expect(all.rows == 20 && all.isFinite)
    #expect(all.elements.allSatisfy { (0...1).contains($0) })
    #expect(all.rows(0..<1) != all.rows(1..<2))
    for range in [0..<1, 5..<7, 3..<20] {
      #expect(try generator().images(range) == all.rows(range), "\(range)")
    }
  }

  @Test(
    "Every solver of the ODE in all steps draws what adaptive steps draw",
    arguments: [SamplingSettings.Sampler.heun, .dpmSolver2S, .dpmSolver2M, .dpmSolver3M, .uniPC])
  func solversAgree(sampler: SamplingSettings.Sampler) throws {
    let expected = try generator { ($0.sampler, $0.tolerance) = (.rk45, 1e-4) }.images(0..<8)
    let found = try generator { ($0.sampler, $0.steps) = (sampler, 50) }.images(0..<8)
    let coarse = try generator { ($0.sampler, $0.steps) = (.ddim, 5) }.images(0..<8)
    #expect(distance(found, expected) < 0.2 * distance(coarse, expected))
  }
}

import Diffusion
import Formats
import Foundation
import Neural
import Testing

@testable import DiffuseVAE

@Suite struct GenerationTests {
  @Test(
    "An image depends on its number only: not on how many are drawn, nor on threads",
    arguments: SamplingSettings.Sampler.allCases)
  func numbering(sampler: SamplingSettings.Sampler) throws {
    let model = try shakenModel()
    let all = try generator(model) { $0.sampler = sampler }.images(0..<40)
    for threads in 1...3 {
      let some = try generator(model) {
        ($0.sampler, $0.threads) = (sampler, threads)
      }.images(13..<30)
      #expect(some == all.rows(13..<30))
    }
    let other = try generator(model) { ($0.sampler, $0.seed) = (sampler, 1) }.images(0..<40)
    #expect(distance(other, all) > 0.01)
    #expect(all.elements.allSatisfy { (0...1).contains($0) })
  }

  @Test(
    "From pure noise every sampler draws finite images",
    arguments: SamplingSettings.Sampler.allCases)
  func zeroSNR(sampler: SamplingSettings.Sampler) throws {
    let model = try shakenModel("diffusion.zero_snr=true")
    #expect(model.process.schedule.level(49).alphaBar == 0)
    for spacing in sampler == .consistency ? [.uniform] : Spacing.allCases {
      let images = try generator(model) { ($0.sampler, $0.spacing) = (sampler, spacing) }
        .images(0..<3)
      #expect(images.isFinite && images.rows(0..<1) != images.rows(1..<2), "\(spacing)")
    }
  }

  /// A network that notes when it is asked.
  private struct Notes: Denoiser {
    let asked = Box()
    final class Box: Sendable { let times = Locked<[Double]>([]) }
    var times: [Double] { asked.times.withLock { $0 } }

    func predict(_ x: Matrix, condition: Condition, timestep: Double) -> Matrix {
      asked.times.withLock { $0.append(timestep) }
      return x
    }
    func forward(
      _ x: Matrix, condition: Condition, timesteps: [Double], dropout: Dropout?
    ) -> (output: Matrix, residuals: Int) { (x, 0) }
    func backward(_ dOutput: Matrix, _ residuals: Int, _ gradients: inout Gradients) {}
    mutating func visit(
      _ path: String, _ body: (String, inout Parameter) throws -> Void
    ) rethrows {}
  }

  /// The times at which the network is asked for a batch, and how often the generator says it is.
  private func asked(
    _ trained: Model, _ change: (inout SamplingOptions) -> Void
  ) throws -> (times: [Double], evaluations: Double?) {
    let notes = Notes()
    let model = try Model(
      trained.configuration, shape: trained.shape, vae: trained.vae, denoiser: notes,
      consistency: notes)
    let generator = try generator(model, change)
    #expect(generator.evaluations == nil)
    _ = try generator.images(0..<1)
    return (notes.times, generator.evaluations)
  }

  @Test("Exactly as many steps are taken as are asked for, the first at the last timestep")
  func steps() throws {
    let trained = try shakenModel()
    for steps in [1, 2, 3, 7, 10, 49, 50] {
      for spacing in Spacing.allCases {
        for sampler in SamplingSettings.Sampler.allCases
        where sampler.countsSteps && sampler != .consistency {
          let (asked, evaluations) = try asked(trained) {
            ($0.steps, $0.spacing, $0.sampler) = (steps, spacing, sampler)
          }
          // Those of a second order in one step ask twice, but not for the last one.
          let isDouble = [.heun, .dpmSolver2S, .predictorCorrector].contains(sampler)
          // Langevin's dynamics end with an estimate of their own.
          let expected = isDouble ? 2 * steps - 1 : steps + (sampler == .langevin ? 1 : 0)
          #expect(asked.count == expected, "\(sampler)")
          #expect(evaluations == Double(asked.count))
          #expect(asked.first == 49 && asked == asked.sorted(by: >))
          let levels = try NoiseSchedule(.cosine, steps: 50).timesteps(
            count: steps, spacing: spacing)
          #expect(Set(asked).isSuperset(of: levels.map(Double.init)), "\(sampler): \(asked)")
          #expect(sampler == .dpmSolver2S || Set(asked).count == steps)
        }
      }
    }
    let (times, evaluations) = try asked(trained) {
      ($0.sampler, $0.corrections, $0.steps) = (.predictorCorrector, 3, 10)
    }
    #expect(times.count == 37 && evaluations == 37)
    // A consistency model is asked at levels that it learnt, eight here.
    for (steps, expected) in [
      (1, [49]), (2, [49, 21]), (3, [49, 35, 14]), (8, [49, 42, 35, 28, 21, 14, 7, 0]),
    ] {
      let (times, _) = try asked(trained) { ($0.sampler, $0.steps) = (.consistency, steps) }
      #expect(times == expected.map(Double.init))
    }
    let most = problem {
      try generator(trained) { ($0.sampler, $0.steps) = (.consistency, 9) }
    }
    #expect(most.contains("takes 1...8 steps"))
    #expect(problem { try generator(shakenModel()) { $0.steps = 51 } }.contains("1...50"))
    #expect(problem { try generator(shakenModel()) { $0.steps = 0 } }.contains("1...50"))
    #expect(
      problem { try generator(shakenModel()) { $0.eta = 1.5 } }.contains(
        "eta is 1.5; it must be a number in 0…1"))
    #expect(problem { try generator(shakenModel()) { $0.churn = -1 } }.contains("in 0…10000"))
    #expect(problem { try generator(shakenModel()) { $0.snr = .nan } }.contains("in 0…1"))
    #expect(problem { try generator(shakenModel()) { $0.stepSize = 2.1 } }.contains("in 0…2"))
    #expect(problem { try generator(shakenModel()) { $0.tolerance = 0 } }.contains("in 1e-05…1"))
    #expect(problem { try generator(shakenModel()) { $0.corrections = 101 } }.contains("in 0…100"))
    #expect(
      problem { try generator(shakenModel()) { $0.temperature = .nan } }.contains("from 0 up"))
    #expect(problem { try generator(shakenModel()) { $0.batch = 0 } }.contains("1...65536"))
  }

  @Test(
    "Adaptive steps reach from the last timestep to the first; a small tolerance asks more often")
  func adaptive() throws {
    let trained = try shakenModel()
    let counts = try [1e-1, 1e-2, 1e-3].map { tolerance in
      let (times, evaluations) = try asked(trained) {
        ($0.sampler, $0.tolerance) = (.rk45, tolerance)
      }
      #expect(times.first == 49 && times.last == 0)
      #expect(times.allSatisfy { (0...49).contains($0) })
      #expect(evaluations == Double(times.count) && times.count % 6 == 1)
      return times.count
    }
    #expect(counts == counts.sorted() && counts[0] < counts[2])
  }

  @Test("DDIM with η = 1 draws what the ancestral sampler with variance small draws")
  func etaOne() throws {
    let model = try shakenModel()
    let ancestral = try generator(model) { $0.sampler = .ddpm }.images(0..<8)
    let ddim = try generator(model) { ($0.sampler, $0.eta) = (.ddim, 1) }.images(0..<8)
    #expect(distance(ancestral, ddim) < 1e-4)
  }

  @Test("Temperature scales z: at 0 all reconstructions are one")
  func temperature() throws {
    let cold = try generator(shakenModel()) { $0.temperature = 0 }.reconstructions(0..<5)
    let warm = try generator(shakenModel()).reconstructions(0..<5)
    #expect(cold.rows(0..<1) == cold.rows(4..<5))
    #expect(warm.rows(0..<1) != warm.rows(4..<5))
  }

  @Test("The unconditional baseline draws images, has no reconstructions, and no z to walk along")
  func unconditional() throws {
    let generator = try generator(
      shakenModel("diffusion.formulation=none", "diffusion.condition=false"))
    #expect(try generator.images(0..<3).rows == 3)
    #expect(problem { try generator.reconstructions(0..<3) }.contains("no VAE"))
    #expect(
      problem {
        try generator.interpolate(
          Interpolation(.z, mode: nil, frames: 3), through: generator.pairs(1))
      }
      .contains("--space xT"))
    let paths = try generator.interpolate(
      Interpolation(.xT, mode: nil, frames: 3), through: generator.pairs(2))
    #expect(paths.frames.rows == 6 && paths.reconstructions == nil)
  }

  @Test("A model loaded without its second stage draws the VAE's images, whatever the sampler")
  func firstStageAlone() throws {
    let whole = try shakenModel("consistency.kind=distillation")
    func part(denoiser: (any Denoiser)?) throws -> Model {
      try Model(whole.configuration, shape: whole.shape, vae: whole.vae, denoiser: denoiser)
    }
    let options: (inout SamplingOptions) -> Void = { ($0.sampler, $0.steps) = (.consistency, 1) }
    let alone = try generator(part(denoiser: nil), options)
    #expect(try alone.reconstructions(0..<3) == generator(whole).reconstructions(0..<3))
    #expect(problem { try alone.images(0..<3) }.contains("without its second stage"))
    #expect(
      problem { try generator(part(denoiser: whole.denoiser), options) }
        == "the run has no consistency model: finish it with --resume")
  }

  @Test("A sheet has a grey line around every image; rows fill from the left")
  func sheet() throws {
    let images = Matrix(3, 4, [0, 0, 0, 0, 1, 1, 1, 1, 0, 1, 0, 1])
    let shape = ImageShape(height: 2, width: 2, channels: 1)
    let png = try PNG.decode(
      ImageGrid.png(images, shape: shape, columns: 2, scale: 1), file: "sheet")
    #expect((png.width, png.height, png.channels) == (7, 7, 1))
    let g: UInt8 = 96
    #expect(
      png.bytes == [
        g, g, g, g, g, g, g,
        g, 0, 0, g, 255, 255, g,
        g, 0, 0, g, 255, 255, g,
        g, g, g, g, g, g, g,
        g, 0, 255, g, g, g, g,
        g, 0, 255, g, g, g, g,
        g, g, g, g, g, g, g,
      ])
  }

  @Test("Images go to a sheet, an array or a folder, by the ending of the name")
  func outputs() throws {
    let images = Matrix(3, 4, [0, 0.25, 0.5, 0.75, 1, 1, 1, 1, 0, 1, 0, 1])
    let shape = ImageShape(height: 2, width: 2, channels: 1)
    try inTemporaryFolder { folder in
      try ImageOutput("\(folder)/a.npy").write(images, shape: shape)
      let array = try NPY.decode(File.read("\(folder)/a.npy"), file: "a.npy").tensor
      #expect(array == Tensor(shape: [3, 2, 2, 1], elements: images.elements))
      let output = try ImageOutput("\(folder)/many")
      try output.check(count: 3, shape: shape)
      try output.write(images, shape: shape)
      let names = try FileManager.default.contentsOfDirectory(atPath: "\(folder)/many").sorted()
      #expect(names == ["00000.png", "00001.png", "00002.png"])
      #expect(problem { try output.check(count: 3, shape: shape) }.contains("not empty"))
      // Half a folder is none.
      #expect(
        problem {
          try fillAtomically("\(folder)/half") { part in
            try File.writeAtomically([1], to: "\(part)/a")
            throw UserError("stop")
          }
        } == "stop")
      let around = try FileManager.default.contentsOfDirectory(atPath: folder).sorted()
      #expect(around == ["a.npy", "many"])
      let first = try PNG.decode(File.read("\(folder)/many/00000.png"), file: "00000.png")
      #expect(first.bytes == [0, 64, 128, 191])
      #expect(problem { try ImageOutput("\(folder)/a.jpg") }.contains(".jpg is not known"))
      // 18 070 by 18 013 pixels, fewer than 30 000 a side.
      #expect(
        problem {
          try ImageOutput("\(folder)/a.png").check(
            count: 100_000, shape: ImageShape(height: 28, width: 28, channels: 1))
        }.contains("18070 by 18013 pixels"))
      #expect(
        problem { try ImageOutput("\(folder)/none/a.png").check(count: 3, shape: shape) }.contains(
          "there is no folder"))
      #expect(
        problem { try ImageOutput("\(folder)/a.npy/b").check(count: 3, shape: shape) }.contains(
          "cannot be made"))
    }
  }
}

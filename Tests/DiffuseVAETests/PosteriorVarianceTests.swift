import Diffusion
import Formats
import Foundation
import Neural
import Testing

@testable import DiffuseVAE

@Suite("Posterior variance") struct PosteriorVarianceTests {
  /// The best linear denoiser of data whose second moment is s²: `α s²/v x`.
  private struct Linear: Denoiser {
    let variance: Double
    let schedule: NoiseSchedule

    func predict(_ x: Matrix, condition: Condition, timestep: Double) -> Matrix {
      let level = schedule.level(Int(timestep))
      let v = level.alphaBar * variance + 1 - level.alphaBar
      return x.affine(Float(level.alpha * variance / v), 0)
    }
    func forward(
      _ x: Matrix, condition: Condition, timesteps: [Double], dropout: Dropout?
    ) -> (output: Matrix, residuals: Int) { (x, 0) }
    func backward(_ dOutput: Matrix, _ residuals: Int, _ gradients: inout Gradients) {}
    mutating func visit(
      _ path: String, _ body: (String, inout Parameter) throws -> Void
    ) rethrows {}
  }

  @Test(
    "Measured of the best linear denoiser it is s² σ²/(ᾱ s² + σ²), at all levels",
    arguments: [ScheduleKind.linear, .cosine])
  func linear(kind: ScheduleKind) throws {
    let images = try Dataset(DataSettings()).training
    let pixels = images.pixels(images.spread(256)).affine(2, -1)
    let variance = pixels.squaredNorm / Double(pixels.rows * pixels.columns)
    var settings = DiffusionSettings()
    (settings.formulation, settings.condition) = (.unconditional, false)
    (settings.clip, settings.schedule) = (false, kind)
    let process = try DiffusionProcess(settings)
    let schedule = process.schedule
    let found = try PosteriorVariance(
      of: Linear(variance: variance, schedule: schedule), process, vae: nil, on: images, seed: 3,
      threads: 2)
    for t in Array(stride(from: 0, to: 1000, by: 7)) + [999] {
      let level = schedule.level(t)
      let expected =
        variance * level.variance / (level.alphaBar * variance + level.variance)
      // 256 images of 64 pixels say a variance to ± 1 %; between its places a line is a little off.
      #expect(
        abs(found(level) - expected) < 0.05 * expected,
        "t = \(t): expected \(expected), found \(found(level))")
    }
    let between = Level(timestep: 300.5, alphaBar: schedule.alphaBar[300])
    #expect(abs(found(between) - found(schedule.level(300))) < 1e-2 * found(between))
    #expect(found(.clean) == 0)
  }

  @Test("At the places it is what was measured, and between them in proportion to σ²")
  func interpolation() throws {
    var settings = DiffusionSettings()
    (settings.schedule, settings.steps) = (.linear, 21)
    let process = try DiffusionProcess(settings)
    let schedule = process.schedule
    let found = try PosteriorVariance(errors: [0.01, 0.2, 0.5], process)
    for (t, error) in [(0, 0.01), (10, 0.2), (20, 0.5)] {
      #expect(abs(found(schedule.level(t)) - error) < 1e-7)
    }
    let (a, b) = (0.01 / schedule.level(0).variance, 0.2 / schedule.level(10).variance)
    let expected = (0.6 * a + 0.4 * b) * schedule.level(4).variance
    #expect(abs(found(schedule.level(4)) - expected) < 1e-7)
    let one = try PosteriorVariance(errors: [0.3], process)
    let share = 0.3 / schedule.level(20).variance
    #expect(abs(one(schedule.level(3)) - share * schedule.level(3).variance) < 1e-7)
    #expect(problem { try PosteriorVariance(errors: [], process) }.contains("1...21"))
  }

  @Test("Of an unclipped network that says ε or the score it is between them in proportion to σ²/ᾱ")
  func ofNoise() throws {
    for (target, clips) in [
      (PredictionTarget.noise, false), (.score, false), (.noise, true), (.original, false),
    ] {
      var settings = DiffusionSettings()
      (settings.target, settings.clip, settings.schedule) = (target, clips, .cosine)
      let process = try DiffusionProcess(settings)
      // The error of x0 for the same error of ε at every level.
      let errors = try process.schedule.timesteps(count: 50).reversed().map {
        Float(0.01 / process.schedule.level($0).snr)
      }
      let level = process.schedule.level(986)
      let ratio = try PosteriorVariance(errors: errors, process)(level) / (0.01 / level.snr)
      let isExact = target.needsSignal && !clips
      #expect(isExact ? abs(ratio - 1) < 1e-5 : ratio > 1000, "\(target) \(clips): \(ratio)")
    }
  }

  @Test(
    "ddpm with variance analytic draws from a run; a file without the errors says what to do",
    arguments: DiffusionSettings.Formulation.allCases)
  func run(formulation: DiffusionSettings.Formulation) throws {
    try inTemporaryFolder { runs in
      let run = try trainedRun(
        in: runs,
        small(
          "diffusion.formulation=\(formulation.rawValue)", "sampling.sampler=ddpm",
          "sampling.variance=analytic"))
      let configuration = try run.configuration()
      func images(_ variance: ReverseVariance) throws -> Matrix {
        var options = SamplingOptions(configuration.sampling, threads: 2)
        options.variance = variance
        return try Generator(Model(of: run), options).images(0..<4)
      }
      let analytic = try images(.analytic)
      #expect(analytic.isFinite && analytic.rows == 4)
      #expect(try distance(analytic, images(.small)) > 1e-3)

      // What was drawn while training was drawn with the same errors.
      let sheet = try PNG.decode(
        File.read(run.gridFile(.denoiser, step: 12)), file: "the last sheet")
      var options = SamplingOptions(configuration.sampling, threads: 2)
      options.seed = configuration.training.seed
      let again = try Generator(Model(of: run), options).images(0..<64)
      try ImageOutput.sheet("\(runs)/again.png").write(
        again, shape: try #require(ImageShape("8x8x1")))
      #expect(try PNG.decode(File.read("\(runs)/again.png"), file: "again").bytes == sheet.bytes)

      let path = run.weightsFile(.denoiser)
      let whole = try SafeTensors.read(path)
      let tensor = try #require(whole.tensors["y0_errors"])
      #expect(tensor.shape == [50] && tensor.elements.allSatisfy { $0 > 0 })
      func write(_ tensor: Tensor?) throws {
        var tensors = whole.tensors
        tensors["y0_errors"] = tensor
        try SafeTensors(metadata: whole.metadata, tensors: tensors).write(to: path)
      }
      try write(nil)
      #expect(try images(.small).isFinite)
      let missing = problem { try images(.analytic) }
      #expect(missing.contains("y0_errors") && missing.contains("--resume"), "\(missing)")
      for wrong in [
        Tensor(shape: [0], elements: []), Tensor(shape: [1, 2], elements: [1, 2]),
        Tensor(shape: [51], elements: [Float](repeating: 1, count: 51)),
        Tensor(shape: [2], elements: [1, -1]), Tensor(shape: [2], elements: [1, .nan]),
      ] {
        try write(wrong)
        let refused = problem { try images(.small) }
        #expect(refused.contains("1...50 finite numbers from 0 up"), "\(refused)")
      }
    }
  }
}

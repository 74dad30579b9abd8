import Diffusion
import Formats
import Foundation
import Neural
import Testing

@testable import DiffuseVAE

@Suite struct TestBedTests {
  /// A model that is the exact denoiser of a set.
  static func model(_ set: TestBed, _ settings: String...) throws -> Model {
    try model(set, settings)
  }

  static func model(_ set: TestBed, _ settings: [String]) throws -> Model {
    let configuration = try Configuration(
      yaml: "", name: "exact",
      overriding: [
        "data.set=\(set.rawValue)", "denoiser.kind=exact", "diffusion.formulation=none",
        "diffusion.schedule=linear",
      ] + settings)
    return try Model(
      configuration, shape: TestBed.shape, vae: nil,
      denoiser: configuration.network(shape: TestBed.shape))
  }

  /// Pixels in [-1, 1].
  private func pixels(_ images: ByteImages) -> Matrix {
    images.pixels(0..<images.count).affine(2, -1)
  }

  @Test(
    "Images have the moments that are said of them; none is cut off", arguments: TestBed.allCases)
  func moments(set: TestBed) throws {
    let data = try Dataset(DataSettings(set: set.rawValue))
    #expect(data.training.count == 10_000 && data.test?.count == 2000)
    #expect(data.shape == TestBed.shape && data.training.labels == nil)
    let x = pixels(data.training)
    let n = Double(x.rows)
    func covariance(_ i: Int, _ j: Int) -> (mean: Double, error: Double) {
      let products = (0..<x.rows).map { Double(x[$0, i] * x[$0, j]) }
      let mean = products.reduce(0, +) / n
      let square = products.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / n
      return (mean, (square / n).squareRoot())
    }
    for (i, j) in [(0, 0), (0, 1), (5, 5), (1, 14), (15, 15), (3, 12)] {
      let expected =
        switch set {
        case .gaussian: i == j ? 0.04 : 0
        case .mixture: (i == j ? 0.01 : 0) + ((i < 8) == (j < 8) ? 0.25 : -0.25)
        case .rotated: cosines(i, j)
        }
      let (mean, error) = covariance(i, j)
      // Rounding adds a twelfth of the squared step to variances.
      #expect(
        abs(mean - expected) < 4 * error + 1e-5,
        "pixels \(i), \(j): expected \(expected), found \(mean)")
    }
    let atEnds = data.training.bytes.count { $0 == 0 || $0 == 255 }
    #expect(atEnds <= 5)
  }

  /// Of pixels i and j of the rotated set: Σ λ c_i c_j over the frequencies of both directions.
  private func cosines(_ i: Int, _ j: Int) -> Double {
    func wave(_ k: Int, _ x: Int) -> Double {
      cos(.pi * (Double(x) + 0.5) * Double(k) / 4) * (k == 0 ? 0.5 : 0.5.squareRoot())
    }
    var sum = 0.0
    for k in 0..<4 {
      for l in 0..<4 {
        let product = wave(k, i / 4) * wave(l, i % 4) * wave(k, j / 4) * wave(l, j % 4)
        sum += 0.04 * pow(0.25, Double(k + l) / 3) * product
      }
    }
    return sum
  }

  @Test("The exact denoiser of N(0, s² I) shrinks by α s²/(ᾱ s² + σ²), under every target")
  func gaussian() throws {
    for target in PredictionTarget.allCases {
      let model = try Self.model(
        .gaussian, "diffusion.target=\(target.rawValue)", "diffusion.clip=false")
      let network = try #require(model.denoiser)
      let y = normal(3, 16, seed: 1)
      for t in [1, 400, 998] {
        let level = model.process.schedule.level(t)
        let gain = level.alpha * 0.04 / (level.alphaBar * 0.04 + level.variance)
        let expected = y.affine(Float(gain), 0)
        let found = try model.process.denoise(y, at: level, network, .nothing)
        #expect(distance(found, expected) < 2e-4, "\(target) at \(t)")
        let levels = [t, t, t].map(model.process.schedule.level)
        let trained = try model.process.estimate(y, at: levels, network, .nothing).y0
        #expect(distance(trained, expected) < 2e-4, "\(target) at \(t)")
        let (y0, product) = try model.process.vectorJacobianProduct(
          y, at: y, level, network, .nothing)
        #expect(distance(y0, expected) < 2e-4 && distance(product, expected) < 2e-4)
      }
    }
  }

  /// The floors of the mean squared error over t: of noise ᾱ s²/v, of x0 s²(1-ᾱ)/v, of velocity s²/v,
  /// with v = ᾱ s² + 1 - ᾱ.
  @Test("Training the exact denoiser shows the loss that no network goes below")
  func floor() throws {
    for space in ["noise", "original", "velocity"] {
      let model = try Self.model(.gaussian, "diffusion.target=\(space)", "diffusion.loss=\(space)")
      let network = try #require(model.denoiser as? ExactDenoiser)
      let images = TestBed.gaussian.images(0..<2000)
      let loss = try means(
        of: DiffusionObjective<ExactDenoiser>(model.configuration, vae: nil), network,
        over: images, seed: 1, threads: 1)[0]
      let floors = model.process.schedule.alphaBar.map { bar in
        let share = ["noise": bar, "original": 1 - bar, "velocity": 1][space] ?? .nan
        return 0.04 * share / (bar * 0.04 + 1 - bar)
      }
      let floor = floors.reduce(0, +) / 1000
      // An image's loss is at most one and has 16 pixels: a standard error of 1 %, about.
      #expect(abs(loss - floor) < 0.04 * floor, "\(space): expected \(floor), found \(loss)")
    }
  }

  @Test("Samplers draw the set by the exact denoiser", arguments: TestBed.allCases)
  func samples(set: TestBed) throws {
    var options = SamplingOptions(SamplingSettings(), threads: 2)
    (options.sampler, options.steps, options.spacing) = (.dpmSolver2M, 25, .quadratic)
    let images = try Generator(Self.model(set), options).images(0..<300).affine(2, -1)
    let squares = (0..<16).map { i in (0..<300).reduce(0.0) { $0 + pow(Double(images[$1, i]), 2) }
    }
    let found = squares.reduce(0, +) / 4800
    let expected =
      [TestBed.gaussian: 0.04, .mixture: 0.26][set]
      ?? (0..<16).reduce(0) { $0 + cosines($1, $1) / 16 }
    #expect(abs(found - expected) < 0.08 * expected, "expected \(expected), found \(found)")
  }

  @Test("What has no exact denoiser is refused")
  func refuses() throws {
    let settings = ["denoiser.kind=exact", "diffusion.formulation=none"]
    #expect(
      problem { try Configuration(yaml: "", name: "a", overriding: settings) }.contains(
        "denoiser.kind exact is for data.set gaussian or gaussian-rotated or gaussian-mixture"))
    #expect(
      problem {
        try Configuration(
          yaml: "", name: "a", overriding: ["denoiser.kind=exact", "data.set=gaussian"])
      }.contains("denoiser.kind exact is for diffusion.formulation none"))
    var denoiser = DenoiserSettings()
    denoiser.kind = .exact
    #expect(
      problem { try denoiser.check(shape: ImageShape(height: 4, width: 5, channels: 1)) }
        == "denoiser.kind exact takes images of 4x4x1, not of 4x5x1")
  }

  @Test("A run without weights is trained, written and read")
  func run() throws {
    try inTemporaryFolder { runs in
      let configuration = try small(
        "data.set=gaussian-mixture", "denoiser.kind=exact", "diffusion.formulation=none",
        "diffusion.condition=false")
      let run = try trainedRun(in: runs, configuration)
      let model = try Model(of: run)
      let images = try Generator(model, SamplingOptions(configuration.sampling, threads: 1))
        .images(0..<4)
      #expect(images.rows == 4 && images.isFinite)
    }
  }
}

import Diffusion
import Foundation
import Testing

/// In many dimensions fresh noise is orthogonal to the sample and its norm is √D. In two, such noise
/// can be made: then variances, squared norms over D, follow their recursions exactly.
@Suite("Predictor–corrector")
struct PredictorCorrectorTests {
  /// Noise of norm 1 at a right angle to what the denoiser was last asked about.
  final class Orthogonal {
    var last = [0.0, 0.0]
    var drawn: [Int] = []

    func denoise(_ data: GaussianData, _ x: [Double], _ level: Level) -> [Double] {
      last = x
      return data.denoise(x, level)
    }

    func noise(_ index: Int) -> [Double] {
      drawn.append(index)
      return [-last[1] / last.norm, last[0] / last.norm]
    }
  }

  static let level = Level(timestep: 0, alphaBar: 0.3)

  @Test(
    "one correction multiplies the marginal's variance by 1 + 4r⁴, in the limit of many dimensions",
    arguments: [0.05, 0.16, 0.5, 1])
  func oneCorrection(r: Double) {
    let data = GaussianData(variance: 0.25)
    let v = data.variance(at: Self.level)
    let source = Orthogonal()
    let found = langevin(
      [0.6 * v.squareRoot(), 0.8 * v.squareRoot()], at: Self.level, signalToNoise: r
    ) {
      source.denoise(data, $0, $1)
    } noise: {
      source.noise(0)
    }
    expect("variance", [Double].dot(found, found), is: v * (1 + 4 * pow(r, 4)), within: 1e-12)

    // 20000 dimensions and independent noise.
    var numbers = NormalNumbers(state: 7)
    let count = 20_000
    let x = numbers.vector(count).map { v.squareRoot() * $0 }
    let many = langevin(x, at: Self.level, signalToNoise: r) {
      data.denoise($0, $1)
    } noise: {
      numbers.vector(count)
    }
    let n = Double(count)
    let expected = v * (1 + 4 * pow(r, 4))
    expect(
      "variance of many", [Double].dot(many, many) / n, is: expected,
      within: 4 * expected * (2 / n).squareRoot())
  }

  @Test(
    "the corrector alone keeps the marginal: from any variance to v (1 + r²), and to v as r falls",
    arguments: [0.02, 0.1, 0.3])
  func correctorAlone(r: Double) {
    for data in [GaussianData(variance: 0.25), GaussianData(variance: 4)] {
      let v = data.variance(at: Self.level)
      for start in [0.2 * v, v * (1 + r * r), 3 * v] {
        let source = Orthogonal()
        var x = [start.squareRoot(), 0]
        // What is too much falls by about 1 - 4r² a step.
        for _ in 0..<Int(8 / (r * r)) {
          x = langevin(x, at: Self.level, signalToNoise: r) {
            source.denoise(data, $0, $1)
          } noise: {
            source.noise(0)
          }
        }
        expect(
          "variance from \(start)", [Double].dot(x, x), is: v * (1 + r * r), within: 1e-9 * v)
      }
    }
  }

  @Test(
    "predictor and corrector: the recursion of both", arguments: Predictor.allCases, [0, 1, 3])
  func recursion(predictor: Predictor, corrections: Int) throws {
    let r = 0.16
    for data in [GaussianData(), GaussianData(variance: 0.25), GaussianData(variance: 4)] {
      for steps in [1, 2, 10, 60] {
        let levels = try NoiseSchedule(.linear, steps: 1000).levels(count: steps)
        let source = Orthogonal()
        let found = try predictorCorrector(
          from: [0.6, 0.8], through: levels, predictor: predictor, corrections: corrections,
          signalToNoise: r, denoise: { source.denoise(data, $0, $1) }, noise: source.noise)
        var u = 1.0
        for (level, next) in zip(levels, levels.dropFirst()) {
          guard next != .clean else {
            u *= pow(data.gain(at: level), 2)
            continue
          }
          let beta = 1 - level.alphaBar / next.alphaBar
          let marginal = data.variance(at: level)
          // Song et al. 2021, eq. 4, and algorithm 3.
          let k =
            predictor == .ancestral
            ? (1 - beta / marginal) / (1 - beta).squareRoot()
            : 2 - (1 - beta).squareRoot() - beta / marginal
          u = k * k * u + beta
          let v = data.variance(at: next)
          for _ in 0..<corrections {
            // ε = 2 (r ‖z‖/‖s‖)² with ‖z‖ = 1 and s = -x/v.
            let epsilon = 2 * r * r * v * v / u
            u = pow(1 - epsilon / v, 2) * u + 2 * epsilon
          }
        }
        expect(
          "variance in \(steps) steps", [Double].dot(found, found), is: u, within: 1e-9 * max(1, u))
        let each = 1 + corrections
        // The last step draws nothing.
        #expect(source.drawn == Array(0..<(steps - 1) * each))
      }
    }
  }

  @Test("without corrections, the ancestral predictor is the large ancestral sampler, bit for bit")
  func ancestralPredictor() throws {
    let data = GaussianData(mean: 0.6, variance: 0.25)
    let levels = try NoiseSchedule(.linear, steps: 1000).levels(count: 10)
    func noise(_ step: Int) -> Double { cos(Double(3 * step + 1)) }
    let found = try predictorCorrector(
      from: 0.7, through: levels, predictor: .ancestral, corrections: 0, signalToNoise: 0.1,
      denoise: { data.denoise($0, $1) }, noise: noise)
    let expected = ancestral(
      from: 0.7, through: levels, variance: .large, denoise: { data.denoise($0, $1) },
      noise: noise)
    #expect(found == expected)
  }

  @Test("where the score is 0 the corrector stays, and every value is finite")
  func noScore() throws {
    let x = langevin([0.0, 0], at: Self.level, signalToNoise: 0.16) { x, _ in
      x
    } noise: {
      [1, 2]
    }
    #expect(x == [0, 0])
  }

  @Test("corrections and signal-to-noise out of range are refused")
  func refuses() {
    func problem(_ corrections: Int, _ r: Double) -> String? {
      #expect(throws: DiffusionError.self) {
        try predictorCorrector(
          from: 0.7, through: [], predictor: .reverse, corrections: corrections, signalToNoise: r,
          denoise: { x, _ in x }, noise: { _ in 0 })
      }?.description
    }
    #expect(problem(-1, 0.1) == "corrections must lie in 0...1000, not -1.")
    #expect(problem(1001, 0.1) == "corrections must lie in 0...1000, not 1001.")
    #expect(problem(1, .nan)?.hasPrefix("signalToNoise must lie in 0.0...") == true)
    #expect(problem(1, -1)?.hasPrefix("signalToNoise must lie in 0.0...") == true)
  }
}

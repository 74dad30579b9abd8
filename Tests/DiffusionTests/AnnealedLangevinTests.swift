import Diffusion
import Foundation
import Testing

@Suite("NCSN / annealed Langevin")
struct AnnealedLangevinTests {
  /// Levels where σ/α takes these values.
  func levels(_ sigmas: [Double]) -> [Level] {
    sigmas.enumerated().map { i, sigma in
      Level(timestep: Double(sigmas.count - 1 - i), alphaBar: 1 / (1 + sigma * sigma))
    }
  }

  /// A geometric ladder from 1 to 0.01, as in Song & Ermon 2019.
  let ladder = (0..<10).map { pow(0.01, Double($0) / 9) }

  func moments(
    _ data: GaussianData, _ levels: [Level], steps: Int, stepSize: Double
  ) throws -> (mean: Double, variance: Double) {
    let draws = levels.count * steps
    return Coefficients.moments(
      try annealedLangevin(
        from: Coefficients.start(steps: draws), through: levels, steps: steps, stepSize: stepSize,
        denoise: { Coefficients.denoise(data, $0, $1) },
        noise: { Coefficients.noise($0, steps: draws) }))
  }

  @Test(
    "v ← (1 - a/(2(s²+σ²)))² v + a, with a = ε σ²/σ_L², is the samples' variance exactly",
    arguments: [1, 3, 100], [2e-5, 1e-4])
  func recursion(steps: Int, epsilon: Double) throws {
    for data in [GaussianData(mean: 0.6, variance: 0.25), GaussianData(variance: 4)] {
      let levels = levels(ladder)
      let r = epsilon / (0.01 * 0.01)
      let found = try moments(data, levels, steps: steps, stepSize: r)
      // u = x/α starts as N(0, 1/ᾱ), and x = α u is returned.
      var (mean, v) = (0.0, 1 / levels[0].alphaBar)
      for sigma in ladder {
        let a = epsilon * sigma * sigma / (0.01 * 0.01)
        for _ in 0..<steps {
          let k = 1 - a / (2 * (data.variance + sigma * sigma))
          v = k * k * v + a
          mean = k * mean + (1 - k) * data.mean
        }
      }
      let alphaBar = levels[9].alphaBar
      expect("variance", found.variance, is: alphaBar * v, within: 1e-12 * v)
      expect("mean", found.mean, is: alphaBar.squareRoot() * mean, within: 1e-12)
    }
  }

  @Test("the step into clean data is the estimate of x0 there")
  func clean() throws {
    let data = GaussianData(mean: 0.6, variance: 0.25)
    let levels = levels(ladder)
    let noisy = try moments(data, levels, steps: 5, stepSize: 0.2)
    let found = try moments(data, levels + [.clean], steps: 5, stepSize: 0.2)
    let gain = data.gain(at: levels[9])
    expect("variance", found.variance, is: gain * gain * noisy.variance, within: 1e-12)
    expect(
      "mean", found.mean, is: data.mean + gain * (noisy.mean - levels[9].alpha * data.mean),
      within: 1e-12)
  }

  @Test("ten steps at each of 100 levels of ve's ladder end near the data's mean and deviation")
  func longRun() throws {
    let data = GaussianData(mean: 0.6, variance: 0.25)
    let levels = try NoiseSchedule(.varianceExploding, steps: 100).levels(count: 100)
    let found = try moments(data, levels, steps: 10, stepSize: 0.2)
    expect("mean", found.mean, is: 0.6, within: 1e-3)
    // Wide levels leave some of their own spread behind.
    expect("std", found.variance.squareRoot(), is: 0.5, within: 0.05 * 0.5)
  }

  @Test("samples have the variance of the recursion within four standard errors")
  func samples() throws {
    let data = GaussianData(mean: 0.6, variance: 0.25)
    let levels = levels(ladder)
    let exact = try moments(data, levels, steps: 4, stepSize: 0.2)
    let count = 4000
    var numbers = NormalNumbers(state: 3)
    let found = try annealedLangevin(
      from: numbers.vector(count), through: levels, steps: 4, stepSize: 0.2,
      denoise: { data.denoise($0, $1) }, noise: { _ in numbers.vector(count) })
    let n = Double(count)
    let mean = found.reduce(0, +) / n
    let variance = found.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / (n - 1)
    expect("mean", mean, is: exact.mean, within: 4 * (exact.variance / n).squareRoot())
    expect(
      "variance", variance, is: exact.variance, within: 4 * exact.variance * (2 / n).squareRoot())
  }

  @Test("asked once a step and once for clean data; every noise has its own number")
  func draws() throws {
    let schedule = try NoiseSchedule(.cosine, steps: 100, zeroTerminalSNR: true)
    let levels = try schedule.levels(count: 4)
    var (visited, drawn): ([Level], [Int]) = ([], [])
    let found = try annealedLangevin(from: 0.3, through: levels, steps: 2, stepSize: 0.2) {
      visited.append($1)
      return $0
    } noise: {
      drawn.append($0)
      return 0.1
    }
    #expect(visited == levels.dropLast().flatMap { [$0, $0] } + [levels[3]])
    #expect(drawn == Array(0..<8))
    #expect(found.isFinite)
  }

  @Test("steps and step size out of range are refused")
  func refuses() {
    func problem(_ steps: Int, _ r: Double) -> String? {
      #expect(throws: DiffusionError.self) {
        try annealedLangevin(
          from: 0.7, through: [], steps: steps, stepSize: r, denoise: { x, _ in x },
          noise: { _ in 0 })
      }?.description
    }
    #expect(problem(-1, 0.1) == "steps must lie in 0...1000, not -1.")
    #expect(problem(1, 2.5) == "stepSize must lie in 0.0...2.0, not 2.5.")
    #expect(problem(1, .nan) == "stepSize must lie in 0.0...2.0, not nan.")
  }
}

import Diffusion
import Foundation
import Testing

@Suite("Consistency model")
struct ConsistencyTests {
  /// The exact f of Gaussian data: `m + (x - m) s/√(s² + ρ²)` in x = y/α, ρ = σ/α.
  private func consistent(_ data: GaussianData, _ y: [Double], _ level: Level) -> [Double] {
    let rho = level.sigma / level.alpha
    let scale = (data.variance / (data.variance + rho * rho)).squareRoot()
    // As coefficients in 1, y_T and the noises: the mean is in the first.
    var exact = y.map { scale * $0 / level.alpha }
    exact[0] += data.mean * (1 - scale)
    return exact
  }

  @Test("consistency model: f is asked at every level with noise, and its last answer is the end")
  func boundary() throws {
    let levels = try NoiseSchedule(.cosine, steps: 1000).levels(count: 4)
    var asked: [Level] = []
    let end = consistencySampling(
      from: 3.0, through: levels,
      denoise: { _, level in
        asked.append(level)
        return Double(asked.count)
      }, noise: { _ in 7 })
    #expect(end == 4 && asked == levels.dropLast())
  }

  @Test("consistency model: one and more steps end at the variances of the exact f")
  func sampling() throws {
    let schedule = try NoiseSchedule(.cosine, steps: 1000)
    let data = GaussianData(mean: 0.4, variance: 0.3)
    for steps in [1, 2, 5] {
      let levels = try schedule.levels(count: steps)
      let found = Coefficients.moments(
        consistencySampling(
          from: Coefficients.start(steps: steps), through: levels,
          denoise: { consistent(data, $0, $1) },
          noise: { Coefficients.noise($0, steps: steps) }))
      // In x: v ← (v + ρ²) s²/(s² + ρ²), from x_T = y_T/α of variance 1/α².
      var (mean, v) = (0.0, 0.0)
      for (i, level) in levels.dropLast().enumerated() {
        let rho = level.sigma / level.alpha
        let shrink = data.variance / (data.variance + rho * rho)
        v = (i == 0 ? 1 / level.alphaBar : v + rho * rho) * shrink
        mean = data.mean + (mean - data.mean) * shrink.squareRoot()
      }
      expect("mean in \(steps)", found.mean, is: mean, within: 1e-9)
      expect("variance in \(steps)", found.variance, is: v, within: 1e-9)
    }
  }
}

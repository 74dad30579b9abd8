import Diffusion
import Foundation
import Testing

@Suite("Consistency model")
struct ConsistencyTests {
  let schedule = try? NoiseSchedule(.cosine, steps: 1000)

  /// D for which f is exact for Gaussian data: `f = m + (x - m) √((s² + ε²)/(s² + ρ²))` in x = y/α.
  func denoise(
    _ data: GaussianData, _ function: ConsistencyFunction, _ y: [Double], _ level: Level
  ) -> [Double] {
    let coefficients = function.coefficients(at: level)
    let (rho, epsilon) = (
      level.sigma / level.alpha, function.boundary.sigma / function.boundary.alpha
    )
    let scale = ((data.variance + epsilon * epsilon) / (data.variance + rho * rho)).squareRoot()
    // As coefficients in 1, x_T and the noises: the mean is in the first.
    var exact = y.map { scale * $0 / level.alpha }
    exact[0] += data.mean * (1 - scale)
    return zip(exact, y).map { ($0 - coefficients.sample * $1) / coefficients.original }
  }

  @Test("consistency model: f(x, ε) = x exactly, and f of pure noise is what the network says")
  func boundary() throws {
    let schedule = try #require(schedule)
    let function = ConsistencyFunction(boundary: schedule.level(0))
    let atBoundary = function.coefficients(at: schedule.level(0))
    #expect(atBoundary.original == 0)
    #expect(atBoundary.sample == 1 / schedule.level(0).alpha)
    let noise = function.coefficients(at: Level(timestep: 0, alphaBar: 0))
    #expect(noise.sample == 0 && noise.original == 1)
    // s = σ_d²/((ρ - ε)² + σ_d²) with σ_d = 0.5, at ρ = 1.
    let epsilon = schedule.level(0).sigma / schedule.level(0).alpha
    let middle = function.coefficients(at: Level(timestep: 0, alphaBar: 0.5))
    let share = 0.25 / ((1 - epsilon) * (1 - epsilon) + 0.25)
    expect("s/α", middle.sample, is: share * 2.squareRoot(), within: 1e-12)
    expect("1 - s", middle.original, is: 1 - share, within: 1e-12)
  }

  @Test("consistency model: one and more steps end at the variances of the exact f")
  func sampling() throws {
    let schedule = try #require(schedule)
    let data = GaussianData(mean: 0.4, variance: 0.3)
    let function = ConsistencyFunction(boundary: schedule.level(0))
    let epsilon = function.boundary.sigma / function.boundary.alpha
    for steps in [1, 2, 5] {
      let levels = Array(try schedule.levels(count: steps + 1).dropLast())
      #expect(levels.count == steps + 1 && levels.last == schedule.level(0))
      let found = Coefficients.moments(
        consistencySampling(
          from: Coefficients.start(steps: steps), through: levels,
          denoise: { denoise(data, function, $0, $1) },
          noise: { Coefficients.noise($0, steps: steps) }))
      // In x: v ← (v + ρ² - ε²)(s² + ε²)/(s² + ρ²) from x_T = y_T/α of variance 1/α².
      var (mean, v) = (0.0, 0.0)
      for (i, level) in levels.dropLast().enumerated() {
        let rho = level.sigma / level.alpha
        v = i == 0 ? 1 / level.alphaBar : v + rho * rho - epsilon * epsilon
        let shrink = (data.variance + epsilon * epsilon) / (data.variance + rho * rho)
        v *= shrink
        mean = data.mean + (mean - data.mean) * shrink.squareRoot()
      }
      expect("mean in \(steps)", found.mean, is: mean, within: 1e-9)
      expect("variance in \(steps)", found.variance, is: v, within: 1e-9)
    }
  }
}

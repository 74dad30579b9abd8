import Diffusion
import Foundation
import Testing

@Suite("Data of known density")
struct KnownDataTests {
  /// Two components in the plane.
  let data = KnownData([
    .init(weight: 0.3, means: [1, -0.5], variances: [0.2, 1.5]),
    .init(weight: 0.7, means: [-0.4, 0.3], variances: [0.5, 0.1]),
  ])

  /// `ln p(x)` at a level, written out.
  func logDensity(_ x: [Double], _ level: Level) -> Double {
    log(
      data.components.reduce(0.0) { sum, part in
        let density = (0..<2).reduce(part.weight) { product, i in
          let v = level.alphaBar * part.variances[i] + 1 - level.alphaBar
          let d = x[i] - level.alpha * part.means[i]
          return product * exp(-d * d / (2 * v)) / (2 * .pi * v).squareRoot()
        }
        return sum + density
      })
  }

  @Test("The denoiser is Tweedie's, (x + σ² ∇ ln p)/α, and so is its derivative")
  func tweedie() {
    let x = [0.4, -0.7]
    for alphaBar in [0.999, 0.6, 0.01] {
      let level = Level(timestep: 0, alphaBar: alphaBar)
      let step = 1e-4
      func moved(_ i: Int, _ by: Double) -> [Double] {
        var moved = x
        moved[i] += by
        return moved
      }
      let posterior = data.posterior(of: x, at: level)
      for i in 0..<2 {
        let slope =
          (logDensity(moved(i, step), level) - logDensity(moved(i, -step), level)) / (2 * step)
        let expected = (x[i] + level.variance * slope) / level.alpha
        expect("x0[\(i)] at \(alphaBar)", posterior.mean[i], is: expected, within: 1e-5)
        let difference = [Double].combine(
          0.5 / step, data.posterior(of: moved(i, step), at: level).mean,
          -0.5 / step, data.posterior(of: moved(i, -step), at: level).mean)
        let unit = i == 0 ? [1.0, 0] : [0, 1]
        expect(
          "column \(i) at \(alphaBar)", posterior.derivative(times: unit), is: difference,
          within: 1e-5)
      }
    }
    // At pure noise x tells nothing.
    let noise = Level(timestep: 0, alphaBar: 0)
    let means = [x, [9, 9]].map { data.posterior(of: $0, at: noise).mean }
    expect("x0", means[0], is: means[1], within: 1e-12)
  }

  @Test("Samples have the mixture's mean and covariance, within four standard errors")
  func samples() {
    var numbers = NormalNumbers(state: 7)
    let count = 20_000
    let points = (0..<count).map { _ in
      let choice = numbers.uniform()
      return data.sample(choice: choice, noise: numbers.vector(2))
    }
    // Second moments: w (m² + s²) over the components.
    for i in 0..<2 {
      let along = points.map { $0[i] }
      let n = Double(count)
      let found = along.reduce(0, +) / n
      let square = along.reduce(0) { $0 + $1 * $1 } / n
      let second = data.components.reduce(0) {
        $0 + $1.weight * ($1.means[i] * $1.means[i] + $1.variances[i])
      }
      let fourth = along.reduce(0) { $0 + pow($1, 4) } / n
      let mean = data.components.reduce(0) { $0 + $1.weight * $1.means[i] }
      expect("mean", found, is: mean, within: 4 * (second / n).squareRoot())
      expect(
        "square", square, is: second, within: 4 * ((fourth - square * square) / n).squareRoot())
    }
  }

  @Test("The entropy of components that do not overlap: theirs, and that of which it is")
  func entropy() {
    let parts = [(0.3, [5.0], [0.04]), (0.7, [-5.0], [0.25])].map {
      KnownData.Component(weight: $0, means: $1, variances: $2)
    }
    let found = KnownData(parts).separatedEntropy
    // -∫ p ln p by sums over a fine grid.
    var expected = 0.0
    for i in 0..<40_000 {
      let x = -10 + 20 * (Double(i) + 0.5) / 40_000
      let p = parts.reduce(0) {
        let d = x - $1.means[0]
        return $0 + $1.weight * exp(-d * d / (2 * $1.variances[0]))
          / (2 * .pi * $1.variances[0]).squareRoot()
      }
      if p > 0 { expected -= p * log(p) * 20 / 40_000 }
    }
    expect("entropy", found, is: expected, within: 1e-6)
  }
}

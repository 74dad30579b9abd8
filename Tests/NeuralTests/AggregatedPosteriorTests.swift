import RealModule
import Testing

@testable import Neural

@Suite struct AggregatedPosteriorTests {
  /// Means and deviations of three posteriors of two dimensions.
  private let means: [[Double]] = [[1, -2], [3, 0.5], [-1, 0]]
  private let deviations: [[Double]] = [[0.5, 1], [0.1, 2], [0.7, 0.3]]

  private var posteriors: DiagonalGaussian {
    DiagonalGaussian(
      Matrix(
        3, 4,
        zip(means, deviations).flatMap { $0 + $1.map { 2 * Double.log($0) } }.map { Float($0) }))
  }

  @Test("Moments of the mixture are the law of total variance's; entropy is the closed form")
  func moments() {
    let (found, spread) = posteriors.aggregatedMoments
    for i in 0..<2 {
      let mean = means.reduce(0) { $0 + $1[i] } / 3
      let squares = (0..<3).map { (row: Int) -> Double in
        let (m, s) = (means[row][i], deviations[row][i])
        return m * m + s * s
      }
      let square = squares.reduce(0, +)
      #expect(abs(found[i] - mean) < 1e-6)
      #expect(abs(spread[i] - (square / 3 - mean * mean).squareRoot()) < 1e-6)
    }
    let logs = deviations.flatMap { $0 }.map { (s: Double) in Double.log(s) }
    let entropy = logs.reduce(3 * Double.log(2 * .pi * .exp(1)), +)
    #expect(abs(posteriors.entropies.reduce(0, +) - entropy) < 1e-5)
  }

  @Test("Standardised by their own moments, the dimensions that are taken have mean 0, deviation 1")
  func standardised() {
    let (means, deviations) = posteriors.aggregatedMoments
    let all = posteriors.standardised([0, 1], means: means, deviations: deviations)
    let (found, spread) = all.aggregatedMoments
    #expect(found.allSatisfy { abs($0) < 1e-6 } && spread.allSatisfy { abs($0 - 1) < 1e-6 })
    let one = posteriors.standardised([1], means: means, deviations: deviations)
    #expect(
      one.mean == all.mean.columns(1..<2) && one.logVariance == all.logVariance.columns(1..<2))
  }

  @Test("What is diffused has the moments of α z + σ ε and, regressed on y, its velocity")
  func diffused() {
    let n = 40_000
    for (mean, deviation, alpha) in [(0.8, 0.3, 0.95), (-1.5, 1, 0.4), (0.2, 2, 0.7)] {
      let sigma = (1 - alpha * alpha).squareRoot()
      let row = [Float(mean), Float(2 * Double.log(deviation))]
      let posterior = DiagonalGaussian(Matrix(n, 2, (0..<n).flatMap { _ in row }))
      let (y, v) = posterior.diffused(
        alphas: [Float](repeating: Float(alpha), count: n),
        sigmas: [Float](repeating: Float(sigma), count: n), noise: normal(n, 1, seed: 5))
      // By draws: the regression of α ε - σ z on α z + σ ε, both Gaussian.
      let (z, e) = (posterior.sample(normal(n, 1, seed: 6)), normal(n, 1, seed: 7))
      let draws = (0..<n).map { row in
        let (z, e) = (Double(z[row, 0]), Double(e[row, 0]))
        return (y: alpha * z + sigma * e, v: alpha * e - sigma * z)
      }
      let (my, mv) = (
        draws.reduce(0) { $0 + $1.y } / Double(n), draws.reduce(0) { $0 + $1.v } / Double(n)
      )
      let vyy = draws.reduce(0) { $0 + ($1.y - my) * ($1.y - my) } / Double(n)
      let vyv = draws.reduce(0) { $0 + ($1.y - my) * ($1.v - mv) } / Double(n)
      let vvv = draws.reduce(0) { $0 + ($1.v - mv) * ($1.v - mv) } / Double(n)
      // Standard errors: of a mean, of a variance of n Gaussians, of a slope.
      let errorOfMean = (vyy / Double(n)).squareRoot()
      let found = y.elements.map(Double.init)
      let mean = found.reduce(0, +) / Double(n)
      let variance = found.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(n)
      #expect(abs(mean - my) < 4 * 2.0.squareRoot() * errorOfMean)
      #expect(abs(variance - vyy) < 4 * 2 * vyy / Double(n).squareRoot())
      let slope = vyv / vyy
      let residual = max(0, vvv - slope * vyv)
      let errorOfSlope = (residual / vyy / Double(n)).squareRoot()
      let errorOfLevel = (residual / Double(n)).squareRoot()
      for row in 0..<100 {
        let distance = abs(Double(y[row, 0]) - my)
        let expected = mv + slope * (Double(y[row, 0]) - my)
        let tolerance = 4 * (errorOfLevel + errorOfSlope * distance) + 1e-5
        #expect(abs(Double(v[row, 0]) - expected) < tolerance, "row \(row)")
      }
    }
  }
}

import RealModule
import Testing

@testable import Neural

/// Uniform draws in [0, 1), one a row.
func uniform(_ rows: Int, seed: UInt64) -> Matrix {
  RandomStream(seed: seed, purpose: .component).uniform(rows: 0..<rows, columns: 1)
}

/// Two components in two dimensions, far enough apart to tell which one a draw is of.
func twoGaussians(_ covariance: GaussianMixture.Covariance) throws -> GaussianMixture {
  try GaussianMixture(
    weights: [0.25, 0.75], means: [10, 20, -10, 5],
    factors: covariance == .full ? [2, 0, -1.5, 0.5, 0.3, 0, 0.2, 1] : [2, 0.5, 0.3, 1],
    covariance: covariance)
}

@Suite struct GaussianMixtureTests {
  typealias Covariance = GaussianMixture.Covariance

  @Test("Density and responsibilities are those of the formula", arguments: Covariance.allCases)
  func density(covariance: Covariance) throws {
    let mixture = try twoGaussians(covariance)
    let points = Matrix(3, 2, [9, 19, -10, 4, 1, 10])
    // ln w - ln 2π - ln(l₁₁ l₂₂) - ½ |L⁻¹ (x - μ)|², by substitution.
    let joint = (0..<6).map { place in
      let (row, component) = (place / 2, place % 2)
      let factor = mixture.factor(component)
      let (a, b, c) =
        covariance == .full ? (factor[0], factor[2], factor[3]) : (factor[0], 0, factor[1])
      let x = (0..<2).map { Double(points[row, $0]) - mixture.means[2 * component + $0] }
      let u = x[0] / a
      let v = (x[1] - b * u) / c
      return Double.log(mixture.weights[component]) - Double.log(2 * .pi * a * c)
        - 0.5 * (u * u + v * v)
    }
    let densities = mixture.logDensities(of: points)
    let responsibilities = mixture.responsibilities(of: points)
    for row in 0..<3 {
      let (p, q) = (joint[2 * row], joint[2 * row + 1])
      let density = max(p, q) + Double.log(onePlus: .exp(-abs(p - q)))
      #expect(abs(densities[row] - density) < 1e-12 * abs(density), "row \(row)")
      #expect(abs(responsibilities[2 * row] - .exp(p - density)) < 1e-12)
      #expect(abs(responsibilities[2 * row + 1] - .exp(q - density)) < 1e-12)
    }
  }

  @Test(
    "Draws have the components' weights, means and covariances, within four standard errors",
    arguments: Covariance.allCases)
  func moments(covariance: Covariance) throws {
    let mixture = try twoGaussians(covariance)
    let n = 100_000
    let draws = mixture.sample(choices: uniform(n, seed: 1), noise: normal(n, 2, seed: 2))
    for component in 0..<2 {
      // The two are six deviations away from 0 at least.
      let rows = (0..<n).filter { (draws[$0, 0] > 0) == (component == 0) }
      let (weight, count) = (mixture.weights[component], Double(rows.count))
      let deviation = (weight * (1 - weight) * Double(n)).squareRoot()
      #expect(abs(count - weight * Double(n)) < 4 * deviation)
      let l = mixture.factor(component)
      let (a, b, c) = covariance == .full ? (l[0], l[2], l[3]) : (l[0], 0, l[1])
      let sigma = [[a * a, a * b], [a * b, b * b + c * c]]
      let x = rows.map { row in
        (0..<2).map { Double(draws[row, $0]) - mixture.means[2 * component + $0] }
      }
      for i in 0..<2 {
        let mean = x.reduce(0) { $0 + $1[i] } / count
        #expect(abs(mean) < 4 * (sigma[i][i] / count).squareRoot(), "mean \(i): \(mean)")
        for j in 0...i {
          // The variance of a product of two Gaussians of mean 0 is σᵢᵢ σⱼⱼ + σᵢⱼ².
          let error = ((sigma[i][i] * sigma[j][j] + sigma[i][j] * sigma[i][j]) / count).squareRoot()
          let product = x.reduce(0) { $0 + $1[i] * $1[j] } / count
          #expect(abs(product - sigma[i][j]) < 4 * error, "\(i), \(j): \(product)")
        }
      }
    }
  }

  @Test("A draw depends on its own choice and noise only; without noise it is a component's mean")
  func draws() throws {
    let mixture = try twoGaussians(.full)
    let (choices, noise) = (uniform(10, seed: 3), normal(10, 2, seed: 4))
    let all = mixture.sample(choices: choices, noise: noise)
    #expect(
      mixture.sample(choices: choices.rows(at: [7, 2]), noise: noise.rows(at: [7, 2]))
        == all.rows(at: [7, 2]))
    let choice = Matrix(4, 1, [0, 0.2499, 0.2501, Float(1).nextDown])
    #expect(
      mixture.sample(choices: choice, noise: Matrix(4, 2)).elements
        == [10, 20, 10, 20, -10, 5, -10, 5])
  }

  @Test("What is no mixture is refused")
  func refusals() {
    func refuse(_ weights: [Double], _ means: [Double], _ factors: [Double]) {
      for covariance in Covariance.allCases {
        #expect(throws: LinearAlgebraError.self) {
          try GaussianMixture(
            weights: weights, means: means, factors: factors, covariance: covariance)
        }
      }
    }
    refuse([], [], [])
    refuse([0], [1], [1])
    refuse([-1, 2], [1, 2], [1, 1])
    refuse([.nan], [1], [1])
    refuse([.infinity], [1], [1])
    refuse([1], [], [])
    refuse([1], [.nan], [1])
    refuse([1], [1], [0])
    refuse([1], [1], [-1])
    refuse([1], [1], [.infinity])
    refuse([1], [1, 2], [1, 0.5, 0, 1])
    refuse([1, 1], [1, 2, 3], [1, 1, 1])
  }
}

@Suite struct CholeskyTests {
  @Test("Factor and inverse of a matrix worked by hand; none of what is not positive definite")
  func byHand() throws {
    // [[4, 2], [2, 5]] = L Lᵀ with L = [[2, 0], [1, 2]]; its inverse is [[5, -2], [-2, 4]] / 16.
    let factor = try #require(cholesky([4, .nan, 2, 5], n: 2))
    #expect(factor == [2, 0, 1, 2])
    let inverse = inverse(ofCholesky: factor, n: 2)
    for (place, expected) in [(0, 5.0 / 16), (2, -2.0 / 16), (3, 4.0 / 16)] {
      #expect(abs(inverse[place] - expected) < 1e-15)
    }
    for a in [[1, 2, 2, 1], [0, 0, 0, 0], [.nan, 0, 0, 1], [1, 0, .infinity, 1]] as [[Double]] {
      #expect(cholesky(a, n: 2) == nil)
    }
  }

  @Test(
    "Embedded, it is independent of one Gaussian in every other dimension",
    arguments: GaussianMixture.Covariance.allCases)
  func embedding(covariance: GaussianMixture.Covariance) throws {
    let factors: [Double] =
      covariance == .full ? [1.5, 0, -0.4, 0.7, 1, 0, 2, 0.5] : [1.5, 0.7, 1, 0.5]
    let mixture = try GaussianMixture(
      weights: [0.3, 0.7], means: [1, -2, 0, 3], factors: factors, covariance: covariance)
    let (means, deviations) = ([9, 0.5, 9, -1.0], [9, 2, 9, 0.25])
    let large = try mixture.embedded(at: [0, 2], means: means, deviations: deviations)
    let x = normal(20, 4, seed: 3)
    let inner = mixture.logDensities(of: x.columns(at: [0, 2]))
    for (row, density) in large.logDensities(of: x).enumerated() {
      let others = [1, 3].map { i in
        let n = (Double(x[row, i]) - means[i]) / deviations[i]
        return -0.5 * (n * n + Double.log(2 * .pi)) - Double.log(deviations[i])
      }
      let expected = inner[row] + others[0] + others[1]
      #expect(abs(density - expected) < 1e-9)
    }
  }
}

import Neural
import Testing

@testable import Evaluation

@Suite struct MomentsTests {
  /// ```python
  /// x = np.array([[0.5,-1,3],[2,0.25,1],[-1.5,4,0],[0,2,-2.5],[1,1,1]]) + [offset, 0, -2*offset]
  /// x.mean(0), np.cov(x.T)
  /// ```
  @Test("Those of numpy, however large the mean", arguments: [0, 0x1p20 as Float])
  func numpy(offset: Float) throws {
    var x = Matrix(5, 3, [0.5, -1, 3, 2, 0.25, 1, -1.5, 4, 0, 0, 2, -2.5, 1, 1, 1])
    for row in 0..<5 {
      x[row, 0] += offset
      x[row, 2] -= 2 * offset
    }
    let moments = try Moments(of: x, threads: 1)
    let mean = [0.4 + Double(offset), 1.25, 0.5 - 2 * Double(offset)]
    for (a, b) in zip(moments.mean, mean) { #expect(abs(a - b) <= 4 * b.ulp) }
    let covariance = [1.675, -1.875, 0.875, -1.875, 3.5625, -2.46875, 0.875, -2.46875, 4]
    for (a, b) in zip(moments.covariance, covariance) { #expect(abs(a - b) < 1e-13, "\(a), \(b)") }
  }

  @Test("Every tile: rows that are one-hot have covariances (n δ p - n p pᵀ) / (n - 1)")
  func oneHot() throws {
    let (n, d) = (700, 300)
    var x = Matrix(n, d)
    var p = [Double](repeating: 0, count: d)
    for row in 0..<n {
      x[row, row * row % d] = 1
      p[row * row % d] += 1 / Double(n)
    }
    let moments = try Moments(of: x, threads: 1)
    for i in 0..<d {
      #expect(abs(moments.mean[i] - p[i]) < 1e-15)
      for j in 0..<d {
        let expected = Double(n) * ((i == j ? p[i] : 0) - p[i] * p[j]) / Double(n - 1)
        let found = moments.covariance[i * d + j]
        if abs(found - expected) > 1e-15 { Issue.record("\(i), \(j): \(found), not \(expected)") }
      }
    }
    #expect(try Moments(of: x, threads: 3) == moments)
  }

  @Test("Too few images, no features and numbers that are none are refused")
  func refusals() {
    for x in [Matrix(0, 3), Matrix(1, 3), Matrix(3, 0), Matrix(0, 0)] {
      expectUserError("2 images or more") { _ = try Moments(of: x, threads: 1) }
    }
    expectUserError("finite") { _ = try Moments(of: Matrix(2, 1, [1, .nan]), threads: 1) }
    expectUserError("finite") { _ = try Moments(of: Matrix(2, 1, [1, .infinity]), threads: 1) }
    expectUserError("16384") { _ = try Moments(of: Matrix(2, 16_385), threads: 1) }
  }
}

@Suite struct FrechetDistanceTests {
  @Test("Covariances of the same axes: ‖μ₁ - μ₂‖² + Σ (√λ₁ - √λ₂)², singular ones, too")
  func commuting() throws {
    let (first, second) = (
      [4, 1, 9, 0, 0, 0.25, 2, 1e-3], [1, 16, 0, 9, 0, 0.25, 3, 1e-9]
    )
    let a = Moments(mean: (0..<8).map(Double.init), covariance: rotated(first, seed: 1))
    let b = Moments(mean: (0..<8).map { Double($0) + 0.5 }, covariance: rotated(second, seed: 1))
    let roots = zip(first, second).map { $0.squareRoot() - $1.squareRoot() }
    let expected = 8 * 0.25 + roots.reduce(0) { $0 + $1 * $1 }
    // A covariance off by u‖C‖ moves the root of its smallest number, 1e-9, by u‖C‖ / √1e-9, and
    // the distance by that times the roots of the other covariance: about 1e-10.
    #expect(abs(try frechetDistance(a, b, threads: 1) - expected) < 1e-9)
    #expect(abs(try frechetDistance(b, a, threads: 2) - expected) < 1e-9)
  }

  @Test("Of different axes: in two dimensions tr (C₁C₂)^½ = √(tr C₁C₂ + 2 √det C₁C₂)")
  func twoDimensions() throws {
    let a = Moments(mean: [1, 0], covariance: [2, 1, 1, 3])
    let b = Moments(mean: [0, 2], covariance: [5, -2, -2, 1])
    // tr C₁C₂ = 10 - 2 - 2 + 3 = 9, det = 5 · 1.
    let root = (9 + 2 * 5.0.squareRoot()).squareRoot()
    let expected = 5 + 5 + 6 - 2 * root
    #expect(abs(try frechetDistance(a, b, threads: 1) - expected) < 1e-13)
  }

  /// ```python
  /// ((m1-m2)**2).sum() + np.trace(c1 + c2) - 2*np.trace(scipy.linalg.sqrtm(c1 @ c2))
  /// ```
  @Test("Of different axes: that of scipy's square root of a matrix")
  func scipy() throws {
    let a = Moments(mean: [1, 2, 3], covariance: [2, 0.5, 0, 0.5, 1, -0.25, 0, -0.25, 0.75])
    let b = Moments(mean: [0, 2, 5], covariance: [1, -0.5, 0.25, -0.5, 3, 1, 0.25, 1, 1.5])
    #expect(abs(try frechetDistance(a, b, threads: 1) - 6.6691380743432775) < 1e-13)
  }

  @Test("Of two sets of four points, from their moments")
  func points() throws {
    // Means (0, 0) and (3, 4), variances 2/3 · (1, 4) and 2/3 · (9, 1).
    let a = try Moments(of: Matrix(4, 2, [1, 0, -1, 0, 0, 2, 0, -2]), threads: 1)
    let b = try Moments(of: Matrix(4, 2, [6, 4, 0, 4, 3, 5, 3, 3]), threads: 1)
    let expected = 25 + 2 / 3.0 * (4 + 1)
    #expect(abs(try frechetDistance(a, b, threads: 1) - expected) < 1e-13)
  }

  @Test("Few images of many features: 0 to itself; moved by v it is ‖v‖²; doubled, tr C + ‖μ‖²")
  func rankDeficient() throws {
    var x = normal(40, 200, seed: 3)
    for row in 0..<40 { for column in 150..<200 { x[row, column] = 0.5 } }
    let moments = try Moments(of: x, threads: 1)
    #expect(try frechetDistance(moments, moments, threads: 1) < 1e-10)
    let moved = Moments(mean: moments.mean.map { $0 + 0.5 }, covariance: moments.covariance)
    #expect(abs(try frechetDistance(moments, moved, threads: 1) - 50) < 1e-10)
    let doubled = try frechetDistance(
      moments, Moments(of: x.affine(2, 0), threads: 1), threads: 1)
    let trace = (0..<200).reduce(0) { $0 + moments.covariance[$1 * 201] }
    let expected = trace + moments.mean.reduce(0) { $0 + $1 * $1 }
    #expect(abs(doubled - expected) < 1e-10)
  }

  @Test("Sets without any scatter are as far apart as their means")
  func constant() throws {
    let a = try Moments(of: Matrix(3, 2, fill: 1), threads: 1)
    let b = try Moments(of: Matrix(2, 2, fill: -1), threads: 1)
    #expect(try frechetDistance(a, b, threads: 1) == 8)
    let wide = try Moments(of: Matrix(2, 2, [3, 1, -1, 1]), threads: 1)  // variance 8
    #expect(abs(try frechetDistance(a, wide, threads: 1) - 8) < 1e-14)
  }

  @Test("Moments of different features are refused")
  func refusals() throws {
    let a = Moments(mean: [0], covariance: [1])
    let b = Moments(mean: [0, 0], covariance: [1, 0, 0, 1])
    expectUserError("not by 1 and 2") { _ = try frechetDistance(a, b, threads: 1) }
  }
}

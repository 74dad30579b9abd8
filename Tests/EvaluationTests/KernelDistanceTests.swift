import Neural
import RealModule
import Testing

@testable import Evaluation

/// The unbiased estimate by its definition: means of `(x·y / d + 1)³` over pairs.
private func naiveEstimate(_ x: Matrix, _ y: Matrix) -> Double {
  func mean(_ a: Matrix, _ b: Matrix, distinct: Bool) -> Double {
    var (sum, count) = (0.0, 0.0)
    for i in 0..<a.rows {
      for j in 0..<b.rows where !distinct || i != j {
        let dot = (0..<a.columns).reduce(0.0) { $0 + Double(a[i, $1]) * Double(b[j, $1]) }
        let base = dot / Double(a.columns) + 1
        sum += base * base * base
        count += 1
      }
    }
    return sum / count
  }
  return mean(x, x, distinct: true) + mean(y, y, distinct: true) - 2 * mean(x, y, distinct: false)
}

@Suite struct KernelDistanceTests {
  @Test("The estimate by hand: x = {0, 1}, y = {2, 3, -1}")
  func byHand() {
    // Kernels (xy + 1)³: within x 1; within y 343, -1, -8, mean 334/3; between 1, 1, 1, 27, 64, 0.
    let estimate = KernelDistance.estimate(Matrix(2, 1, [0, 1]), Matrix(3, 1, [2, 3, -1]))
    #expect(abs(estimate - (1 + 334 / 3.0 - 2 * 94 / 6.0)) < 1e-12)
  }

  @Test("The estimate is its definition, across the cuts of long sets, too")
  func definition() {
    for (n, m, d) in [(2, 5, 3), (300, 270, 2)] {
      let (x, y) = (normal(n, d, seed: 1), normal(m, d, seed: 2).affine(1, 0.5))
      let (found, expected) = (KernelDistance.estimate(x, y), naiveEstimate(x, y))
      #expect(abs(found - expected) < 1e-12 * (1 + abs(expected)), "\(found), \(expected)")
    }
  }

  @Test("Mean and interval of the blocks' estimates; everyone is in one block")
  func interval() throws {
    let (a, b) = (normal(23, 3, seed: 1), normal(19, 3, seed: 2))
    let distance = try KernelDistance(a, b, blocks: 4, seed: 5, threads: 1)
    #expect(distance.blocks.count == 4)
    let mean = distance.blocks.reduce(0, +) / 4
    let squares = distance.blocks.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
    let margin = 3.1824463052837078 * (squares / 3 / 4).squareRoot()
    #expect(abs(distance.value - mean) < 1e-14)
    #expect(abs(distance.confidence.lowerBound - (mean - margin)) < 1e-12)
    #expect(abs(distance.confidence.upperBound - (mean + margin)) < 1e-12)
    // One row that is not zero reaches the estimate of exactly one block, whichever row it is.
    for row in 0..<23 {
      var x = Matrix(23, 1)
      x[row, 0] = 1
      let blocks = try KernelDistance(x, Matrix(19, 1, fill: 1), blocks: 4, seed: 5, threads: 1)
        .blocks
      #expect(blocks.count { $0 != 7 } == 1, "row \(row): \(blocks)")
    }
  }

  /// Expects that intervals hold `truth` in 95 % of 200 draws, and that values are right in the
  /// mean, both within four standard errors; and that intervals are no wider than they must be.
  func expectCoverage(of truth: Double, _ draw: (UInt64) -> (Matrix, Matrix)) throws {
    let draws = 200
    var (hits, sum, squares, margins) = (0, 0.0, 0.0, 0.0)
    for seed in 0..<UInt64(draws) {
      let (a, b) = draw(seed)
      let distance = try KernelDistance(a, b, seed: 1, threads: 1)
      if distance.confidence.contains(truth) { hits += 1 }
      sum += distance.value - truth
      squares += (distance.value - truth) * (distance.value - truth)
      let margin = (distance.confidence.upperBound - distance.confidence.lowerBound) / 2
      margins += margin * margin
    }
    // E margin² is t² Var(value), t the quantile for 9 degrees of freedom; that of either side, a
    // mean of 200, is known to about √(2/200) (1 + 3/9) at worst: four times that is half.
    let ratio = margins / (2.2621571628 * 2.2621571628 * squares)
    #expect((0.5...1.5).contains(ratio), "width² is \(ratio) of what it should be")
    let deviation = (0.95 * 0.05 * Double(draws)).squareRoot()
    #expect(abs(Double(hits) - 0.95 * Double(draws)) < 4 * deviation, "\(hits) hits")
    #expect(abs(sum) < 4 * squares.squareRoot(), "mean error \(sum / Double(draws))")
  }

  @Test("Bits that are 1 with probabilities p and q are 7 (p - q)² apart")
  func coins() throws {
    // All moments of such a bit are its probability, so it is Σ C(3, i) (p - q)², i = 1…3.
    try expectCoverage(of: 7 * 0.25 * 0.25) { seed in
      let u = RandomStream(seed: seed, purpose: .component).uniform(rows: 0..<600, columns: 1)
      let bits = u.elements.enumerated().map { $0 < 300 ? $1 < 0.5 : $1 < 0.25 }
      let x = Matrix(600, 1, bits.map { $0 ? 1 : 0 })
      return (x.rows(0..<300), x.rows(300..<600))
    }
  }

  @Test("Sets of one distribution are 0 apart")
  func oneDistribution() throws {
    try expectCoverage(of: 0) { seed in
      let x = normal(400, 16, seed: seed)
      return (x.rows(0..<200), x.rows(200..<400))
    }
  }

  @Test("The same for any number of threads; another for another seed")
  func determinism() throws {
    let (a, b) = (normal(300, 5, seed: 1), normal(280, 5, seed: 2))
    let one = try KernelDistance(a, b, seed: 1, threads: 1)
    #expect(try KernelDistance(a, b, seed: 1, threads: 3) == one)
    #expect(try KernelDistance(a, b, seed: 2, threads: 1) != one)
  }

  @Test("Sizes that give no estimate are refused")
  func refusals() {
    let x = normal(8, 2, seed: 1)
    for y in [Matrix(0, 2), Matrix(1, 2), Matrix(3, 2), Matrix(8, 0)] {
      expectUserError("4 images or more") {
        _ = try KernelDistance(x, y, blocks: 2, seed: 0, threads: 1)
      }
    }
    for blocks in [-1, 0, 1, 5, .max] {
      expectUserError("2 to 4 blocks") {
        _ = try KernelDistance(x, x, blocks: blocks, seed: 0, threads: 1)
      }
    }
    expectUserError("not by 2 and 3") {
      _ = try KernelDistance(x, Matrix(8, 3), blocks: 2, seed: 0, threads: 1)
    }
    expectUserError("finite") {
      _ = try KernelDistance(x, x.affine(.infinity, 0), blocks: 2, seed: 0, threads: 1)
    }
  }

  /// `scipy.stats.t.ppf(0.975, degrees)`
  @Test(
    "Student's quantiles are those of scipy",
    arguments: [
      (1, 12.706204736174694), (2, 4.302652729749462), (3, 3.1824463052837078),
      (4, 2.7764451051977934), (9, 2.262157162798205), (10, 2.228138851986274),
      (99, 1.9842169515864174),
    ])
  func student(degrees: Int, expected: Double) {
    #expect(abs(studentQuantile(0.95, degrees: degrees) - expected) < 1e-12 * expected)
  }
}

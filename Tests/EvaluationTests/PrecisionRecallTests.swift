import Neural
import Testing

@testable import Evaluation

/// Algorithm 1 of Kynkäänniemi et al. 2019, pair by pair in double precision.
private func naive(_ real: Matrix, _ generated: Matrix, k: Int) -> (Double, Double) {
  func squared(_ a: Matrix, _ i: Int, _ b: Matrix) -> [Double] {
    var distances = [Double](repeating: 0, count: b.rows)
    for j in 0..<b.rows {
      for column in 0..<a.columns {
        let difference = Double(a[i, column]) - Double(b[j, column])
        distances[j] += difference * difference
      }
    }
    return distances
  }
  func fraction(_ points: Matrix, _ centres: Matrix) -> Double {
    // The smallest is that of the centre itself.
    let radii = (0..<centres.rows).map { squared(centres, $0, centres).sorted()[k] }
    let covered = (0..<points.rows).count { i in
      zip(squared(points, i, centres), radii).contains { $0 <= $1 }
    }
    return Double(covered) / Double(points.rows)
  }
  return (fraction(generated, real), fraction(real, generated))
}

@Suite struct PrecisionRecallTests {
  func measure(_ real: Matrix, _ generated: Matrix, k: Int) throws -> (Double, Double) {
    let found = try PrecisionRecall(
      real: real, generated: generated, neighbours: k, threads: 2)
    return (found.precision, found.recall)
  }

  @Test("On a line, k = 1, points on the surface counted in")
  func line() throws {
    // Radii of 0, 1, 2, 10 are 1, 1, 1, 8: 3 is at 2's surface, 18 at 10's, 19 outside.
    // Radii of 2.5, 3, 18, 19 are ½, ½, 1, 1: only 2 is within, at a surface.
    let found = try measure(
      Matrix(4, 1, [0, 1, 2, 10]), Matrix(4, 1, [2.5, 3, 18, 19]), k: 1)
    #expect(found == (0.75, 0.25))
  }

  @Test("In the plane, k = 3, points on the surface counted in")
  func plane() throws {
    // The corners of the unit square have squared radius 2, (5, 5) has 41.
    let real = Matrix(5, 2, [0, 0, 1, 0, 0, 1, 1, 1, 5, 5])
    // 1 from (0, 0); 2 from (1, 1); 2 from (0, 0); 31.25 and 41 from (5, 5), then 45.25.
    let generated = Matrix(6, 2, [0, -1, 2, 2, -1, -1, 2.5, 0, 10, 9, 10, 9.5])
    // (0, -1) has squared radius 13, from (2, 2), and every corner is within. (2, 2) has 18, from
    // (-1, -1), and (5, 5) is on its surface.
    #expect(try measure(real, generated, k: 3) == (5 / 6.0, 1))
    // With k = 1 the corners have squared radius 1 and (5, 5) has 32: only (-1, -1) is outside. Of
    // the first four generated (0, -1) and (-1, -1) have 2, the others 4.25: (0, 1) and (5, 5) are.
    #expect(try measure(real, generated.rows(0..<4), k: 1) == (3 / 4.0, 3 / 5.0))
  }

  @Test("Set and itself: 1 and 1, even if all of it is one image; far apart: 0 and 0")
  func extremes() throws {
    let x = normal(50, 7, seed: 1)
    #expect(try measure(x, x, k: 3) == (1, 1))
    #expect(try measure(x, x.affine(1, 100), k: 3) == (0, 0))
    let one = Matrix(9, 3, fill: 0.1)
    #expect(try measure(one, one, k: 8) == (1, 1))
    #expect(try measure(one, one.affine(1, 1e-6), k: 8) == (0, 0))
  }

  @Test(
    "Pair by pair, with many equal points and distances, across the cuts of long sets",
    arguments: [1, 12])
  func pairByPair(k: Int) throws {
    let real = lattice(520, 3, below: 12, seed: 1)
    let generated = lattice(530, 3, below: 12, seed: 2).affine(1, 3)
    let expected = naive(real, generated, k: k)
    #expect(expected.0 < 1 && expected.1 < 1)
    #expect(try measure(real, generated, k: k) == expected)
  }

  @Test("Pair by pair, where products in single precision see no distances at all")
  func closeClusters() throws {
    // Two clusters 2¹⁵ apart, of points 2⁻⁸ apart: the squares differ by less than 2⁻⁴⁰ of them.
    func clusters(_ n: Int, seed: UInt64) -> Matrix {
      var x = lattice(n, 2, below: 20, seed: seed).affine(0x1p-8, 0)
      for row in 0..<n / 2 { x[row, 0] += 0x1p15 }
      return x
    }
    let (real, generated) = (clusters(120, seed: 1), clusters(140, seed: 2))
    for k in [1, 3] {
      let expected = naive(real, generated, k: k)
      #expect(expected.0 < 1 && expected.1 < 1)
      #expect(try measure(real, generated, k: k) == expected)
    }
  }

  @Test(
    "Neither large nor small numbers change anything", arguments: [0x1p120, 0x1p-120, 0x1p-140])
  func scale(factor: Float) throws {
    let real = lattice(60, 2, below: 12, seed: 1)
    let generated = lattice(60, 2, below: 14, seed: 2)
    let expected = naive(real, generated, k: 1)
    #expect(expected.0 < 1 && expected.1 < 1)
    #expect(try measure(real.affine(factor, 0), generated.affine(factor, 0), k: 1) == expected)
  }

  @Test("The same for any number of threads")
  func threads() throws {
    let (real, generated) = (normal(300, 4, seed: 1), normal(310, 4, seed: 2))
    let one = try PrecisionRecall(real: real, generated: generated, threads: 1)
    #expect(one.precision < 1 && one.recall < 1)
    #expect(try PrecisionRecall(real: real, generated: generated, threads: 3) == one)
  }

  @Test("Sizes without a k-th neighbour are refused")
  func refusals() {
    func refuse(_ part: String, _ real: Matrix, _ generated: Matrix, k: Int) {
      expectUserError(part) {
        _ = try PrecisionRecall(real: real, generated: generated, neighbours: k, threads: 1)
      }
    }
    let x = normal(4, 2, seed: 1)
    for k in [-1, 0, 4, .max] { refuse("neighbour", x, x, k: k) }
    refuse("neighbour", Matrix(0, 2), x, k: 1)
    refuse("neighbour", x, Matrix(1, 2), k: 1)
    refuse("one feature", Matrix(4, 0), Matrix(4, 0), k: 1)
    refuse("not by 2 and 3", x, Matrix(4, 3), k: 1)
    refuse("finite", x, x.affine(.nan, 0), k: 1)
  }
}

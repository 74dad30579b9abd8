import Testing

@testable import Neural

@Suite struct ProductTests {
  static let shapes = [
    (1, 1, 1), (3, 5, 7), (16, 16, 16), (33, 65, 17), (64, 1, 9), (1, 40, 40), (3000, 9, 40),
    (40, 9, 3000),
  ]

  @Test("Products agree with a naive loop in all four transpose cases", arguments: shapes)
  func naive(m: Int, n: Int, k: Int) {
    let (a, b) = (normal(m, k, seed: 1), normal(k, n, seed: 2))
    let (at, bt) = (transposed(a), transposed(b))
    let expected = naiveProduct(a, b)
    // k rounding errors of at most 2⁻²⁴ each, on terms of a few units.
    let bound = Float(k) * 16 * 0x1p-24
    #expect(distance(a * b, expected) <= bound)
    #expect(distance(at.transposed * b, expected) <= bound)
    #expect(distance(a * bt.transposed, expected) <= bound)
    #expect(distance(at.transposed * bt.transposed, expected) <= bound)
  }

  @Test("Adding a product adds to what is there, also by blocks", arguments: shapes)
  func accumulates(m: Int, n: Int, k: Int) {
    let (a, b) = (normal(m, k, seed: 1), normal(k, n, seed: 2))
    let (at, bt) = (transposed(a), transposed(b))
    let before = normal(m, n, seed: 3)
    var expected = naiveProduct(a, b)
    expected.add(before)
    // As above, and one more to add.
    let bound = Float(k + 1) * 16 * 0x1p-24
    func check(_ a: some ProductOperand, _ b: some ProductOperand) {
      var c = before
      c.add(product: a, b)
      #expect(distance(c, expected) <= bound)
    }
    check(a, b)
    check(at.transposed, b)
    check(a, bt.transposed)
    check(at.transposed, bt.transposed)
  }

  @Test("What a product replaces does not matter, not even if it is no number", arguments: shapes)
  func replaces(m: Int, n: Int, k: Int) {
    let (a, b) = (normal(m, k, seed: 1), normal(k, n, seed: 2))
    let (at, bt) = (transposed(a), transposed(b))
    func check(_ a: some ProductOperand, _ b: some ProductOperand) {
      var c = Matrix(m, n, fill: .nan)
      c.replace(byProduct: a, b)
      #expect(c == a * b && c.isFinite)
    }
    check(a, b)
    check(at.transposed, b)
    check(a, bt.transposed)
    check(at.transposed, bt.transposed)
  }

  @Test("Stacks of products are the products of their parts, added or in place of no numbers")
  func stacks() {
    let (count, m, n, k) = (16, 50, 8, 24)
    let (a, b) = (normal(count * m, k, seed: 1), normal(count * k, n, seed: 2))
    let parts = (0..<count).map {
      naiveProduct(a.rows($0 * m..<($0 + 1) * m), b.rows($0 * k..<($0 + 1) * k))
    }
    var expected = Matrix.stacked(parts)
    let bound = Float(k + 1) * 16 * 0x1p-24
    var c = Matrix(count * m, n, fill: .nan)
    c.replace(byProducts: count, a, b)
    #expect(c.isFinite)
    #expect(distance(c, expected) <= bound)
    c = normal(count * m, n, seed: 3)
    expected.add(c)
    c.add(products: count, a, b)
    #expect(distance(c, expected) <= bound)
  }

  @Test("Empty products are zero, or add nothing", arguments: [1, 3])
  func empty(count: Int) {
    for (m, n, k) in [(0, 2, 3), (2, 0, 3), (2, 3, 0), (0, 0, 3), (0, 2, 0), (0, 0, 0)] {
      let (a, b) = (Matrix(count * m, k, fill: 1), Matrix(count * k, n, fill: 1))
      var c = Matrix(count * m, n, fill: .nan)
      c.replace(byProducts: count, a, b)
      #expect(c == Matrix(count * m, n))
      var kept = Matrix(count * m, n, fill: 7)
      kept.add(products: count, a, b)
      #expect(kept == Matrix(count * m, n, fill: 7))
      guard count == 1 else { continue }
      let zero = Matrix(m, n)
      let (at, bt) = (transposed(a), transposed(b))
      #expect(a * b == zero && at.transposed * b == zero)
      #expect(a * bt.transposed == zero && at.transposed * bt.transposed == zero)
    }
  }

  private func transposed(_ a: Matrix) -> Matrix {
    var result = Matrix(a.columns, a.rows)
    for i in 0..<a.rows { for j in 0..<a.columns { result[j, i] = a[i, j] } }
    return result
  }

  private func naiveProduct(_ a: Matrix, _ b: Matrix) -> Matrix {
    var c = Matrix(a.rows, b.columns)
    for i in 0..<a.rows {
      for j in 0..<b.columns {
        c[i, j] = Float((0..<a.columns).reduce(0.0) { $0 + Double(a[i, $1]) * Double(b[$1, j]) })
      }
    }
    return c
  }
}

@Suite struct MatrixTests {
  let m = Matrix(2, 3, [1, 2, 3, 4, 5, 6])

  @Test("Rows and columns are taken in order")
  func taking() {
    #expect(m.rows(1..<2).elements == [4, 5, 6])
    #expect(m.rows(at: [1, 0, 1]).elements == [4, 5, 6, 1, 2, 3, 4, 5, 6])
    #expect(m.columns(1..<3).elements == [2, 3, 5, 6])
    #expect(m.joined(Matrix(2, 1, [7, 8])).elements == [1, 2, 3, 7, 4, 5, 6, 8])
    #expect(Matrix.stacked([m, Matrix(1, 3, [7, 8, 9])]).elements == [1, 2, 3, 4, 5, 6, 7, 8, 9])
  }

  @Test("Row-wise operations reach every row")
  func rowWise() {
    var x = m
    x.add(toRows: Matrix(1, 3, [10, 20, 30]))
    #expect(x.elements == [11, 22, 33, 14, 25, 36])
    x.scaleRows([1, 0], adding: [0, 2], m)
    #expect(x.elements == [11, 22, 33, 8, 10, 12])
    var sum = Matrix(1, 3, [1, 1, 1])
    sum.add(rowsOf: m)
    #expect(sum.elements == [6, 8, 10])
    #expect(m.squaredNorm == 91)
    #expect(m.dot(x) == 308)  // 11 + 44 + 99 + 32 + 50 + 72
    #expect(m.clamped(to: 2...5).elements == [2, 2, 3, 4, 5, 5])
  }

  @Test("Eigenvalues and vectors of a symmetric matrix")
  func eigen() throws {
    // 2 and 4 with vectors (1, -1)/√2 and (1, 1)/√2.
    let (values, vectors) = try symmetricEigen([3, 1, 1, 3], n: 2)
    #expect(abs(values[0] - 2) < 1e-14 && abs(values[1] - 4) < 1e-14)
    #expect(abs(vectors[0] + vectors[1]) < 1e-14)
    #expect(abs(vectors[2] - vectors[3]) < 1e-14)
    #expect(throws: LinearAlgebraError.self) { try symmetricEigen([1, 2, 3], n: 2) }
    #expect(throws: LinearAlgebraError.self) { try symmetricEigen([.nan, 0, 0, 1], n: 2) }
  }

  @Test("Singular values of a product, by hand; what is no product is refused")
  func singular() throws {
    // [[1, 0, 1], [0, 2, 0]] [[3, 1, 0], [0, 2, 5], [4, 0, -4]]ᵀ = [[3, 5, 0], [2, 4, 0]], of
    // determinant 2 and Σ x² = 54, so that s₁ s₂ = 2 and s₁ ± s₂ = √(54 ± 4).
    let values = try singularValues(
      ofProduct: [1, 0, 1, 0, 2, 0], transposed: [3, 1, 0, 0, 2, 5, 4, 0, -4], inner: 3)
    let (sum, difference) = (58.0.squareRoot(), 50.0.squareRoot())
    #expect(values.count == 2)
    #expect(abs(values[0] - (sum + difference) / 2) < 1e-14)
    #expect(abs(values[1] - (sum - difference) / 2) < 1e-14)
    #expect(try singularValues(ofProduct: [], transposed: [1], inner: 1) == [])
    for (a, inner) in [([1, 2], 3), ([1], 0), ([.nan], 1)] as [([Double], Int)] {
      #expect(throws: LinearAlgebraError.self) {
        try singularValues(ofProduct: a, transposed: [1], inner: inner)
      }
    }
  }
}

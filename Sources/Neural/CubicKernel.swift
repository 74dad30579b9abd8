import COpenBLAS

/// `Σ (x·y / d + 1)³` over the rows x of `a` and y of `b`, in double precision.
///
/// - Parameters:
///   - a: `[m, d]`, d ≥ 1.
///   - b: `[n, d]`
///   - distinct: Leaves out the pairs of row `i` with row `i`.
public func cubicKernelSum(_ a: Matrix, _ b: Matrix, distinct: Bool) -> Double {
  precondition(a.columns == b.columns && a.columns > 0, "rows of one width")
  BLAS.oneThreadPerProduct
  let d = Int32(a.columns)
  let (left, right) = (doubleBlocks(of: a), doubleBlocks(of: b))
  var total = 0.0
  for (i, x) in left.enumerated() {
    for (j, y) in right.enumerated() {
      let (rows, columns) = (x.count / a.columns, y.count / a.columns)
      var products = [Double](repeating: 0, count: rows * columns)
      cblas_dgemm(
        CblasRowMajor, CblasNoTrans, CblasTrans, Int32(rows), Int32(columns), d,
        1 / Double(a.columns), x, d, y, d, 0, &products, Int32(columns))
      // The kernel on the diagonal is left out, not subtracted: it may be most of the sum.
      if distinct, i == j {
        for row in 0..<rows { products[row * columns + row] = -1 }
      }
      let t = products.span
      var sum = 0.0
      for place in 0..<t.count {
        let base = t[place] + 1
        sum += base * base * base
      }
      total += sum
    }
  }
  return total
}

/// All rows, 256 in a block, as double-precision numbers.
private func doubleBlocks(of points: Matrix) -> [[Double]] {
  stride(from: 0, to: points.rows, by: 256).map { start in
    points.rows(start..<min(start + 256, points.rows)).elements.map(Double.init)
  }
}

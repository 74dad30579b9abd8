import COpenBLAS

/// Mean and unbiased covariance, `Σ (x - μ)(x - μ)ᵀ / (n - 1)`, of the rows of a matrix.
///
/// Two passes in double precision, so nothing cancels however large the mean is. Beside the result
/// little memory is taken.
///
/// - Parameters:
///   - points: `[n, d]`, finite, n ≥ 2.
///   - threads: The result does not depend on it.
/// - Returns: μ, `[d]`, and the covariance, `[d, d]`, symmetric to the last bit.
public func meanAndCovariance(
  of points: Matrix, threads: Int
) throws -> (mean: [Double], covariance: [Double]) {
  precondition(points.rows > 1, "a covariance takes two rows at least")
  let d = points.columns
  let mean = points.columnMeans
  let strips = (0..<d).parts(of: 128)
  let tiles = strips.indices.flatMap { i in (0...i).map { (strips[i], strips[$0]) } }
  let values = try concurrently(tiles.count, threads: threads) {
    covarianceTile(points, tiles[$0].0, tiles[$0].1, mean)
  }
  var covariance = [Double](repeating: 0, count: d * d)
  var c = covariance.mutableSpan
  for ((left, right), tile) in zip(tiles, values) {
    let tile = tile.span
    for i in 0..<left.count {
      for j in 0..<right.count where right.lowerBound + j <= left.lowerBound + i {
        let value = tile[i * right.count + j]
        c[(left.lowerBound + i) * d + right.lowerBound + j] = value
        c[(right.lowerBound + j) * d + left.lowerBound + i] = value
      }
    }
  }
  return (mean, covariance)
}

/// The covariances of the columns `left` with the columns `right`: `[left, right]`.
private func covarianceTile(
  _ points: Matrix, _ left: Range<Int>, _ right: Range<Int>, _ mean: [Double]
) -> [Double] {
  BLAS.oneThreadPerProduct
  var sums = [Double](repeating: 0, count: left.count * right.count)
  for start in stride(from: 0, to: points.rows, by: 256) {
    let rows = start..<min(start + 256, points.rows)
    let a = points.doubles(rows, left, minus: mean)
    let b = left == right ? a : points.doubles(rows, right, minus: mean)
    cblas_dgemm(
      CblasRowMajor, CblasTrans, CblasNoTrans, Int32(left.count), Int32(right.count),
      Int32(rows.count), 1 / Double(points.rows - 1), a, Int32(left.count), b, Int32(right.count),
      1, &sums, Int32(right.count))
  }
  return sums
}

extension Matrix {
  /// The mean of the rows, summed in double precision: `[columns]`.
  package var columnMeans: [Double] {
    let width = columns
    var means = [Double](repeating: 0, count: width)
    var sum = means.mutableSpan
    let x = elements.span
    for row in 0..<rows {
      let start = row * width
      for i in 0..<width { sum[i] += Double(x[start + i]) }
    }
    for i in 0..<width { sum[i] /= Double(rows) }
    return means
  }

  /// `x - origin` of some rows and columns, in double precision: `[range, strip]`.
  ///
  /// - Parameter origin: a number for every column of the matrix.
  fileprivate func doubles(
    _ range: Range<Int>, _ strip: Range<Int>, minus origin: [Double]
  ) -> [Double] {
    let (width, first) = (strip.count, strip.lowerBound)
    var block = [Double](repeating: 0, count: range.count * width)
    var y = block.mutableSpan
    let (x, origin) = (elements.span, origin.span)
    for row in 0..<range.count {
      let (from, to) = ((range.lowerBound + row) * columns + first, row * width)
      for i in 0..<width { y[to + i] = Double(x[from + i]) - origin[first + i] }
    }
    return block
  }
}

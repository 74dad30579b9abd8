import COpenBLAS

/// The Cholesky factor of a symmetric matrix, `a = L Lᵀ` (LAPACK `dpotrf`).
///
/// - Parameter a: `[n, n]`, row-major; only the lower triangle is read.
/// - Returns: L, `[n, n]`, zero above the diagonal; nil unless `a` is finite and, as far as
///   rounding can tell, positive definite.
package func cholesky(_ a: [Double], n: Int) -> [Double]? {
  guard let order = Int32(exactly: n), n > 0, a.count == n * n else { return nil }
  BLAS.oneThreadPerProduct
  var factor = a
  for row in 0..<n { for column in row + 1..<max(n, row + 1) { factor[row * n + column] = 0 } }
  // A row-major lower triangle is a column-major upper one.
  let status = LAPACKE_dpotrf(
    LAPACK_COL_MAJOR, CChar(UInt8(ascii: "U")), order, &factor, order)
  return status == 0 && factor.allSatisfy(\.isFinite) ? factor : nil
}

/// The inverse of `L Lᵀ` (LAPACK `dpotri`).
///
/// - Parameter factor: L, `[n, n]`, lower, row-major, its diagonal not zero.
/// - Returns: `[n, n]`, of which only the lower triangle means something.
func inverse(ofCholesky factor: [Double], n: Int) -> [Double] {
  BLAS.oneThreadPerProduct
  var inverse = factor
  LAPACKE_dpotri(
    LAPACK_COL_MAJOR, CChar(UInt8(ascii: "U")), Int32(n), &inverse, Int32(max(n, 1)))
  return inverse
}

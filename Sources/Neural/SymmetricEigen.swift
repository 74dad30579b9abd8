import COpenBLAS

/// An error of a LAPACK routine.
public struct LinearAlgebraError: Error, CustomStringConvertible {
  public let description: String
}

/// Eigenvalues, ascending, and eigenvectors of a symmetric matrix (LAPACK `dsyevd`).
///
/// - Parameters:
///   - a: `[n, n]`, row-major; only the upper triangle is read.
/// - Returns: `values[k]`, and its unit vector in row `k` of `vectors`, `[n, n]`.
/// - Throws: ``LinearAlgebraError`` when the iteration does not converge or `a` is not finite.
public func symmetricEigen(
  _ a: [Double], n: Int
) throws -> (values: [Double], vectors: [Double]) {
  guard let order = Int32(exactly: n), n >= 0, a.count == n * n else {
    throw LinearAlgebraError(description: "\(a.count) numbers are not a matrix of order \(n)")
  }
  BLAS.oneThreadPerProduct
  var vectors = a
  var values = [Double](repeating: 0, count: n)
  // A row-major upper triangle is a column-major lower one; the vectors come out as rows.
  let status = LAPACKE_dsyevd(
    LAPACK_COL_MAJOR, CChar(UInt8(ascii: "V")), CChar(UInt8(ascii: "L")), order, &vectors,
    max(order, 1), &values)
  guard status == 0 else {
    throw LinearAlgebraError(description: "the eigenvalues did not converge (dsyevd: \(status))")
  }
  return (values, vectors)
}

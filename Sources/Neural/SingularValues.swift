import COpenBLAS

/// The singular values of `a bᵀ`, descending (LAPACK `dgesdd`).
///
/// - Parameters:
///   - a: `[p, inner]`, row-major.
///   - b: `[q, inner]`, row-major.
/// - Returns: `min(p, q)` numbers, none negative.
/// - Throws: ``LinearAlgebraError`` when the iteration does not converge, a number is not finite,
///   or the sizes do not match.
public func singularValues(
  ofProduct a: [Double], transposed b: [Double], inner: Int
) throws -> [Double] {
  guard !a.isEmpty, !b.isEmpty else { return [] }
  guard
    inner > 0, a.count.isMultiple(of: inner), b.count.isMultiple(of: inner),
    let p = Int32(exactly: a.count / inner), let q = Int32(exactly: b.count / inner),
    let width = Int32(exactly: inner)
  else {
    throw LinearAlgebraError(
      description: "\(a.count) and \(b.count) numbers are no matrices of \(inner) columns")
  }
  BLAS.oneThreadPerProduct
  var product = [Double](repeating: 0, count: Int(p) * Int(q))
  cblas_dgemm(
    CblasRowMajor, CblasNoTrans, CblasTrans, p, q, width, 1, a, width, b, width, 0, &product, q)
  var values = [Double](repeating: 0, count: Int(min(p, q)))
  // Row-major `[p, q]` is column-major `[q, p]`, of the same values. Vectors are not asked for.
  var (left, right) = (0.0, 0.0)
  let status = LAPACKE_dgesdd(
    LAPACK_COL_MAJOR, CChar(UInt8(ascii: "N")), q, p, &product, q, &values, &left, 1, &right, 1)
  guard status == 0 else {
    throw LinearAlgebraError(
      description: "the singular values did not converge (dgesdd: \(status))")
  }
  return values
}

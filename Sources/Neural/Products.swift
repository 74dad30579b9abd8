import COpenBLAS

/// What a product takes on either side: a matrix, or one to be read as its transpose.
public protocol ProductOperand {
  var matrix: Matrix { get }
  var isTransposed: Bool { get }
}

/// A matrix read as its transpose; nothing is moved.
public struct Transposed: ProductOperand {
  public let matrix: Matrix
  public var isTransposed: Bool { true }
}

extension Matrix: ProductOperand {
  public var matrix: Matrix { self }
  public var isTransposed: Bool { false }
  public var transposed: Transposed { Transposed(matrix: self) }
}

extension ProductOperand {
  fileprivate var outer: Int { isTransposed ? matrix.columns : matrix.rows }
  fileprivate var inner: Int { isTransposed ? matrix.rows : matrix.columns }
  fileprivate var flag: CBLAS_TRANSPOSE { isTransposed ? CblasTrans : CblasNoTrans }
}

/// The matrix product `a b`.
public func * (a: some ProductOperand, b: some ProductOperand) -> Matrix {
  var c = Matrix(a.outer, b.inner)
  c.accumulate(a, b, keeping: 0)
  return c
}

extension Matrix {
  /// `self += a b`
  public mutating func add(product a: some ProductOperand, _ b: some ProductOperand) {
    accumulate(a, b, keeping: 1)
  }

  /// `self = a b`, in the same memory if it is of that shape already.
  mutating func replace(byProduct a: some ProductOperand, _ b: some ProductOperand) {
    if rows != a.outer || columns != b.inner { self = Matrix(a.outer, b.inner) }
    accumulate(a, b, keeping: 0)
  }

  /// `self = keeping · self + a b`
  fileprivate mutating func accumulate(
    _ a: some ProductOperand, _ b: some ProductOperand, keeping: Float
  ) {
    precondition(
      a.inner == b.outer && rows == a.outer && columns == b.inner,
      "[\(rows), \(columns)] is not [\(a.outer), \(a.inner)] times [\(b.outer), \(b.inner)]")
    guard !elements.isEmpty, a.inner > 0 else { return }
    BLAS.oneThreadPerProduct
    cblas_sgemm(
      CblasRowMajor, a.flag, b.flag, Int32(a.outer), Int32(b.inner), Int32(a.inner),
      1, a.matrix.elements, Int32(a.matrix.columns), b.matrix.elements, Int32(b.matrix.columns),
      keeping, &elements, Int32(columns))
  }
}

/// The linear-algebra library behind the products.
public enum BLAS {
  /// Set before the first product. The machine's cores are used by lanes of the batch
  /// (``concurrently(_:threads:_:)``), whose sums do not depend on how many cores there are; those
  /// of a product that several threads share do.
  static let oneThreadPerProduct: Void = openblas_set_num_threads(1)

  /// The processor kernels that OpenBLAS chose, or was told to use, such as `SkylakeX`.
  public static var coreName: String {
    openblas_get_corename().map { String(cString: $0) } ?? "unknown"
  }
}

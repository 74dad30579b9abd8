import COpenBLAS

/// What a product takes on either side: a matrix, or one to be read as its transpose.
public protocol ProductOperand {
  var matrix: Matrix { get }
  var isTransposed: Bool { get }
}

/// A matrix read as its transpose; nothing is moved.
public struct Transposed: ProductOperand, Sendable {
  public let matrix: Matrix
  public var isTransposed: Bool { true }
}

extension Matrix: ProductOperand {
  public var matrix: Matrix { self }
  public var isTransposed: Bool { false }
  public var transposed: Transposed { Transposed(matrix: self) }
}

extension ProductOperand {
  fileprivate var outer: Int { outer(of: 1) }
  fileprivate var inner: Int { inner(of: 1) }

  // Of each of `count` matrices stacked on one another.
  fileprivate func outer(of count: Int) -> Int {
    isTransposed ? matrix.columns : matrix.rows / count
  }
  fileprivate func inner(of count: Int) -> Int {
    isTransposed ? matrix.rows / count : matrix.columns
  }
  fileprivate var flag: CBLAS_TRANSPOSE { isTransposed ? CblasTrans : CblasNoTrans }
}

/// The matrix product `a b`.
public func * (a: some ProductOperand, b: some ProductOperand) -> Matrix {
  var c = Matrix(0, 0)
  c.replace(byProduct: a, b)
  return c
}

extension Matrix {
  /// `self += a b`
  public mutating func add(product a: some ProductOperand, _ b: some ProductOperand) {
    accumulate(a, b, keeping: 1)
  }

  /// `self = a b`, in the same memory if it is of that shape already.
  mutating func replace(byProduct a: some ProductOperand, _ b: some ProductOperand) {
    resize(a.outer, b.inner)
    accumulate(a, b, keeping: 0)
  }

  /// `self += a b`, all three being stacks of `count` matrices.
  mutating func add(products count: Int, _ a: some ProductOperand, _ b: some ProductOperand) {
    accumulate(a, b, count: count, keeping: 1)
  }

  /// `self = a b`, all three being stacks of `count` matrices; in the same memory if it is of that
  /// shape already.
  mutating func replace(
    byProducts count: Int, _ a: some ProductOperand, _ b: some ProductOperand
  ) {
    resize(count * a.outer(of: count), b.inner(of: count))
    accumulate(a, b, count: count, keeping: 0)
  }

  /// `self = keeping · self + a b`, for each of `count` matrices stacked on one another.
  fileprivate mutating func accumulate(
    _ a: some ProductOperand, _ b: some ProductOperand, count: Int = 1, keeping: Float
  ) {
    let (m, n, k) = (a.outer(of: count), b.inner(of: count), a.inner(of: count))
    let isStack = [rows, a.matrix.rows, b.matrix.rows].allSatisfy { $0.isMultiple(of: count) }
    precondition(
      isStack && k == b.outer(of: count) && rows == count * m && columns == n,
      "[\(rows), \(columns)] is not [\(m), \(k)] [\(b.outer(of: count)), \(n)], \(count) times"
    )
    // BLAS wants rows of one number at least.
    guard m > 0, n > 0 else { return }
    guard k > 0 else {
      if keeping == 0 { self = Matrix(rows, columns) }
      return
    }
    BLAS.oneThreadPerProduct
    WorkClock.count(Product(a, b, count: count, (m, n, k)))
    let began = WorkClock.start()
    if count == 1, m * n * k > BLAS.smallProduct, let block = BLAS.block(m, n, k, a, b) {
      accumulate(a, b, in: block, keeping: keeping)
    } else {
      withPointers(a.matrix.elements, b.matrix.elements, &elements) { x, y, z in
        for i in 0..<count {
          BLAS.multiply(
            (m, n, k), x + i * m * k, a, y + i * k * n, b, keeping: keeping, z + i * m * n)
        }
      }
    }
    WorkClock.stop(.products, since: began)
  }
}

extension Matrix {
  /// `self = keeping · self + a b` by blocks: of so many rows; or, where `a` is read as its
  /// transpose, of so many terms of the sums.
  private mutating func accumulate(
    _ a: some ProductOperand, _ b: some ProductOperand, in block: Int, keeping: Float
  ) {
    let (m, n, k) = (a.outer, b.inner, a.inner)
    let b = b.isTransposed ? b.matrix.flipped : b.matrix
    withPointers(a.matrix.elements, b.elements, &elements) { x, y, z in
      for start in stride(from: 0, to: a.isTransposed ? k : m, by: block) {
        if a.isTransposed {
          let size = min(block, k - start)
          BLAS.multiply(
            (m, n, size), x + start * m, a, y + start * n, b, keeping: start == 0 ? keeping : 1, z)
        } else {
          let size = min(block, m - start)
          BLAS.multiply((size, n, k), x + start * k, a, y, b, keeping: keeping, z + start * n)
        }
      }
    }
  }

  /// The transpose, written out.
  var flipped: Matrix {
    var result = Matrix(unset: columns, rows)
    let (rows, columns) = (rows, columns)
    var y = result.elements.mutableSpan
    let x = elements.span
    for i in 0..<rows {
      for j in 0..<columns { y[j * rows + i] = x[i * columns + j] }
    }
    return result
  }
}

/// The linear-algebra library behind the products.
public enum BLAS {
  /// Multiplications up to which OpenBLAS's AVX-512 kernels take operands as they are, without
  /// copying them into the order of the kernel first.
  static let smallProduct = 1_000_000

  /// How to cut a product of a tall matrix and a small one into such small ones, which for few
  /// channels are half as fast again: into blocks of so many of its rows. Nil if that does not pay.
  fileprivate static func block(
    _ m: Int, _ n: Int, _ k: Int, _ a: some ProductOperand, _ b: some ProductOperand
  ) -> Int? {
    let perRow = a.isTransposed ? m * n : n * k
    guard !(a.isTransposed && b.isTransposed), perRow <= smallProduct / 64 else { return nil }
    return smallProduct / perRow / 16 * 16
  }

  /// `z = keeping · z + x y` for parts, `[m, k]` and `[k, n]`, of the matrices of `a` and `b`.
  @inline(__always) fileprivate static func multiply(
    _ size: (m: Int, n: Int, k: Int), _ x: UnsafePointer<Float>, _ a: some ProductOperand,
    _ y: UnsafePointer<Float>, _ b: some ProductOperand, keeping: Float,
    _ z: UnsafeMutablePointer<Float>
  ) {
    cblas_sgemm(
      CblasRowMajor, a.flag, b.flag, Int32(size.m), Int32(size.n), Int32(size.k), 1, x,
      Int32(a.matrix.columns), y, Int32(b.matrix.columns), keeping, z, Int32(size.n))
  }

  /// Set before the first product. The machine's cores are used by lanes of the batch
  /// (``concurrently(_:threads:_:)``), whose sums do not depend on how many cores there are; those
  /// of a product that several threads share do.
  static let oneThreadPerProduct: Void = openblas_set_num_threads(1)

  /// Has OpenBLAS write once to the beginning of the memory where it copies operands to, of which each
  /// product at work has a piece.
  ///
  /// Its kernels fetch ahead of what they read, and what no product has written yet is not mapped:
  /// every such fetch then searches the page tables, in vain and again and again. With the kernels
  /// for processors without AVX-512 products of few channels take several times as long until a
  /// larger one was made.
  ///
  /// - Parameter threads: products at work at the same time. They are likely to be, here, but need
  ///   not: what a thread has not touched is only slow.
  public static func touchWorkspace(threads: Int) throws {
    let x = Matrix(512, 512)
    _ = try concurrently(threads, threads: threads) { _ in x * x }
  }

  /// What OpenBLAS says of itself: its version and how it was built.
  public static var configuration: String {
    openblas_get_config().map { String(cString: $0) } ?? "unknown"
  }

  /// The processor kernels that OpenBLAS chose, or was told to use, such as `SkylakeX`.
  public static var coreName: String {
    openblas_get_corename().map { String(cString: $0) } ?? "unknown"
  }
}

/// The shape of a product, as it was asked for.
public struct Product: Hashable, Sendable {
  /// Of either operand as it lies in memory; of all `count` products, if they are stacked.
  private let left, right: [Int]
  private let isLeftTransposed, isRightTransposed: Bool
  private let count: Int
  /// Multiplications and additions.
  public let operations: Int

  init(
    _ a: some ProductOperand, _ b: some ProductOperand, count: Int, _ size: (m: Int, n: Int, k: Int)
  ) {
    (left, right) = ([a.matrix.rows, a.matrix.columns], [b.matrix.rows, b.matrix.columns])
    (isLeftTransposed, isRightTransposed) = (a.isTransposed, b.isTransposed)
    self.count = count
    operations = 2 * count * size.m * size.n * size.k
  }

  /// Products of this shape, of matrices of their own, to be computed again and again.
  public struct Replay: Sendable {
    private let product: Product
    private let a, b: Matrix
    private var c = Matrix(0, 0)

    public init(_ product: Product) {
      func halves(_ shape: [Int]) -> Matrix { Matrix(shape[0], shape[1]).map { _ in 0.5 } }
      self.product = product
      (a, b) = (halves(product.left), halves(product.right))
    }

    public mutating func compute(times: Int) {
      for _ in 0..<times {
        switch (product.isLeftTransposed, product.isRightTransposed) {
        case (false, false): c.replace(byProducts: product.count, a, b)
        case (true, false): c.replace(byProducts: product.count, a.transposed, b)
        case (false, true): c.replace(byProducts: product.count, a, b.transposed)
        case (true, true): c.replace(byProducts: product.count, a.transposed, b.transposed)
        }
      }
    }
  }
}

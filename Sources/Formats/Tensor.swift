/// Numbers in a box: `elements` in C order (the last index runs fastest). A shape of `[]` is a
/// single number, and a shape that contains a zero is no number at all.
public struct Tensor: Equatable, Sendable {
  public let shape: [Int]
  public var elements: [Float]

  /// `elements.count` must be the product of `shape`.
  public init(shape: [Int], elements: [Float]) {
    precondition(elements.count == shape.checkedProduct, "as many elements as the shape has places")
    self.shape = shape
    self.elements = elements
  }
}

extension [Int] {
  /// The product of all, 1 for none; nil if it, or a product on the way to it, overflows.
  package var checkedProduct: Int? {
    var product = 1
    for factor in self {
      let (next, overflow) = product.multipliedReportingOverflow(by: factor)
      if overflow { return nil }
      product = next
    }
    return product
  }
}

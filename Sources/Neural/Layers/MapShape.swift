/// The size of a feature map. A batch of maps is a `[batch·height·width, channels]` matrix: a row
/// for each pixel, line by line, image by image.
public struct MapShape: Equatable, Sendable {
  public let height, width: Int

  public init(height: Int, width: Int) { (self.height, self.width) = (height, width) }

  public var pixels: Int { height * width }

  /// What is left when every `stride`-th pixel of every `stride`-th line is taken, the first
  /// included.
  public func thinned(by stride: Int) -> MapShape {
    MapShape(height: (height + stride - 1) / stride, width: (width + stride - 1) / stride)
  }

  /// The number of maps in `x`.
  func batch(of x: Matrix) -> Int {
    precondition(x.rows.isMultiple(of: pixels), "\(x.rows) rows are no maps of \(pixels) pixels")
    return x.rows / pixels
  }
}

/// `count` images of bytes 0...255, `[count, height, width, channels]` in C order.
public struct ByteImages: Sendable, Equatable {
  public let count, height, width, channels: Int
  public let bytes: [UInt8]
  /// Of each image the number of its class, where that is known.
  public var labels: [UInt8]?

  /// `bytes.count` must be `count * height * width * channels`.
  public init(count: Int, height: Int, width: Int, channels: Int, bytes: [UInt8]) {
    precondition(
      bytes.count == [count, height, width, channels].checkedProduct,
      "as many bytes as the images have samples")
    self.count = count
    self.height = height
    self.width = width
    self.channels = channels
    self.bytes = bytes
  }
}

/// The size of an image. A batch of images is `[batch, height·width·channels]`, NHWC.
public struct ImageShape: Equatable, Sendable, CustomStringConvertible {
  public let height, width, channels: Int

  public init(height: Int, width: Int, channels: Int) {
    (self.height, self.width, self.channels) = (height, width, channels)
  }

  /// Reads ``description``; nil for anything else, and for a shape without pixels.
  public init?(_ description: String) {
    let parts = description.split(separator: "x", omittingEmptySubsequences: false).map { Int($0) }
    guard parts.count == 3, let height = parts[0], let width = parts[1], let channels = parts[2],
      [height, width, channels].allSatisfy({ (1...65536).contains($0) })
    else { return nil }
    self.init(height: height, width: width, channels: channels)
  }

  /// Numbers in one image.
  public var count: Int { height * width * channels }

  /// Of an image that is trained on.
  static let mostNumbers = 1 << 20

  /// Whether such images can be trained on and written as PNG.
  package var isDrawable: Bool {
    [1, 3, 4].contains(channels) && max(height, width) <= 65536 && count <= Self.mostNumbers
  }

  public var description: String { "\(height)x\(width)x\(channels)" }
}

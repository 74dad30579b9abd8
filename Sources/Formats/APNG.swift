import CImage

/// Animated PNG (PNG specification, third edition, section 11.3.6): a PNG whose image is the
/// first frame, so that what does not know of animations shows that.
public enum APNG {
  /// A film of images, each as ``PNG/encode(width:height:channels:bytes:)`` takes it, repeated for
  /// ever. The same images always make the same bytes.
  ///
  /// - Parameter milliseconds: how long each is shown: In 1...65535.
  ///
  /// Throws `FormatError` where that does, if there is no image, and for other times.
  public static func encode(
    width: Int, height: Int, channels: Int, frames: [[UInt8]], milliseconds: Int
  ) throws -> [UInt8] {
    let file = "APNG of \(width) x \(height) x \(channels)"
    guard let count = UInt32(exactly: frames.count), count > 0 else {
      throw FormatError(file: file, problem: "cannot be made of \(frames.count) images")
    }
    guard let delay = UInt16(exactly: milliseconds), delay > 0 else {
      throw FormatError(
        file: file, problem: "cannot be made: \(milliseconds) ms are not in 1...65535")
    }
    var film: [UInt8] = []
    // Numbers all chunks of the animation.
    var sequence: UInt32 = 0
    for (number, frame) in frames.enumerated() {
      let png = try PNG.encode(width: width, height: height, channels: channels, bytes: frame)
      let control =
        [UInt32(width), UInt32(height), 0, 0].flatMap(bytes) + bytes(delay) + bytes(UInt16(1000))
        + [0, 0]  // Stays until the next, which replaces it.
      var isControlled = false
      for chunk in PNG.chunks(of: png) {
        switch chunk.type {
        case "IDAT":
          if !isControlled {
            append("fcTL", bytes(next(&sequence)) + control, to: &film)
            isControlled = true
          }
          if number == 0 {
            append("IDAT", chunk.content, to: &film)
          } else {
            append("fdAT", bytes(next(&sequence)) + chunk.content, to: &film)
          }
        case "IEND": break
        case "IHDR" where number == 0:
          film += PNG.signature
          append("IHDR", chunk.content, to: &film)
          append("acTL", bytes(count) + bytes(UInt32(0)), to: &film)
        default:
          if number == 0 { append(chunk.type, chunk.content, to: &film) }
        }
      }
    }
    append("IEND", [], to: &film)
    return film
  }

  private static func next(_ sequence: inout UInt32) -> UInt32 {
    defer { sequence += 1 }
    return sequence
  }

  private static func bytes<Number: FixedWidthInteger>(_ number: Number) -> [UInt8] {
    withUnsafeBytes(of: number.bigEndian, Array.init)
  }

  private static func append(
    _ type: String, _ content: some Collection<UInt8>, to film: inout [UInt8]
  ) {
    let checked = Array(type.utf8) + content
    film += bytes(UInt32(content.count))
    film += checked
    film += bytes(UInt32(crc32(0, checked, uInt(checked.count))))
  }
}

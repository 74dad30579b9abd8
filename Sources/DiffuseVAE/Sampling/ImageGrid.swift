import Formats
import Neural

/// Images side by side on one sheet, a pixel of grey between them.
public enum ImageGrid {
  /// The size of a sheet, in pixels.
  static func size(
    count: Int, shape: ImageShape, columns: Int? = nil, scale: Int? = nil
  ) -> (height: Int, width: Int) {
    let columns = columns ?? Self.columns(count)
    let scale = scale ?? Self.scale(shape)
    let rows = max(1, (count + columns - 1) / columns)
    return (rows * (shape.height * scale + 1) + 1, columns * (shape.width * scale + 1) + 1)
  }

  /// About a square.
  private static func columns(_ count: Int) -> Int {
    max(1, Int(Double(count).squareRoot().rounded(.up)))
  }

  /// Small images are enlarged, so that they can be looked at.
  private static func scale(_ shape: ImageShape) -> Int {
    max(1, 56 / max(shape.height, shape.width))
  }

  /// - Parameters:
  ///   - images: `[count, height·width·channels]` in [0, 1], row by row.
  ///   - columns: images in a row; about a square when nil.
  ///   - scale: every pixel becomes so many pixels squared; enough for the eye when nil.
  /// - Returns: the bytes of a PNG file.
  public static func png(
    _ images: Matrix, shape: ImageShape, columns: Int? = nil, scale: Int? = nil
  ) throws -> [UInt8] {
    let sheet = sheet(images, shape: shape, columns: columns, scale: scale)
    return try PNG.encode(
      width: sheet.width, height: sheet.height, channels: shape.channels, bytes: sheet.bytes)
  }

  /// The same before it is a file: `bytes` is `[height, width, channels]`.
  static func sheet(
    _ images: Matrix, shape: ImageShape, columns: Int? = nil, scale: Int? = nil
  ) -> (height: Int, width: Int, bytes: [UInt8]) {
    let columns = columns ?? Self.columns(images.rows)
    let scale = scale ?? Self.scale(shape)
    let (cellHeight, cellWidth) = (shape.height * scale + 1, shape.width * scale + 1)
    let (height, width) = size(
      count: images.rows, shape: shape, columns: columns, scale: scale)
    let channels = shape.channels
    let background: UInt8 = 96
    var sheet = [UInt8](repeating: background, count: height * width * channels)
    let bytes = images.bytes
    for index in 0..<images.rows {
      let top = index / columns * cellHeight + 1
      let left = index % columns * cellWidth + 1
      for y in 0..<shape.height * scale {
        for x in 0..<shape.width * scale {
          let from =
            index * shape.count + ((y / scale) * shape.width + x / scale) * channels
          let to = ((top + y) * width + left + x) * channels
          for channel in 0..<channels { sheet[to + channel] = bytes[from + channel] }
        }
      }
    }
    return (height, width, sheet)
  }
}

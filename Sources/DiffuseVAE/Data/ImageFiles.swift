import Formats
import Foundation
import Neural

extension ByteImages {
  /// Anybody's images: an NPY file, `[N, H, W, C]`, or `[N, H, W]` of grey ones, of bytes or of
  /// numbers in [0, 1]; a PNG file; or a folder of PNG files, which are read in the order of their
  /// names.
  ///
  /// - Parameters:
  ///   - shape: what each image must be.
  ///   - counts: how many there may be.
  /// - Throws: ``UserError`` or `FormatError`, naming the file and what was expected.
  package init(files path: String, shape: ImageShape, counts: ClosedRange<Int>) throws {
    var isFolder: ObjCBool = false
    guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else {
      throw UserError("\(path): no such file or folder")
    }
    let bytes =
      if isFolder.boolValue {
        try Self.folder(path, shape, counts)
      } else if path.lowercased().hasSuffix(".png") {
        try Self.image(path, shape)
      } else {
        try Self.array(path, shape)
      }
    let count = bytes.count / shape.count
    try Self.check(count, in: counts, path)
    self.init(
      count: count, height: shape.height, width: shape.width,
      channels: shape.channels, bytes: bytes)
  }

  private static func check(_ count: Int, in counts: ClosedRange<Int>, _ path: String) throws {
    guard counts.contains(count) else {
      throw UserError("\(path): the number of images is \(count); it must be in \(counts)")
    }
  }

  private static func array(_ path: String, _ shape: ImageShape) throws -> [UInt8] {
    let (tensor, type) = try NPY.decode(rows: shape.count, of: path)
    let image = shape.sizes
    let found = Array(tensor.shape.dropFirst())
    guard !tensor.shape.isEmpty, found == image || found + [1] == image else {
      let sizes = image.map(String.init).joined(separator: ", ")
      throw UserError("\(path): is of shape \(tensor.shape); expected [N, \(sizes)]")
    }
    guard type != .uint8 else { return tensor.elements.map { UInt8($0) } }
    guard tensor.elements.allSatisfy({ (0...1).contains($0) }) else {
      throw UserError("\(path): numbers must be in [0, 1], or bytes (uint8)")
    }
    return Matrix(1, tensor.elements.count, tensor.elements).bytes
  }

  private static func image(_ path: String, _ shape: ImageShape) throws -> [UInt8] {
    let image = try PNG.decode(File.read(path), file: path)
    let found = ImageShape(height: image.height, width: image.width, channels: image.channels)
    guard found == shape else {
      throw UserError("\(path): is \(found), and not \(shape)")
    }
    return image.bytes
  }

  private static func folder(
    _ path: String, _ shape: ImageShape, _ counts: ClosedRange<Int>
  ) throws -> [UInt8] {
    let names: [String]
    do {
      names = try FileManager.default.contentsOfDirectory(atPath: path)
    } catch {
      throw UserError("\(path): the folder cannot be read (\(error.reason))")
    }
    let files = names.filter { $0.lowercased().hasSuffix(".png") && !$0.hasPrefix(".") }.sorted()
    guard !files.isEmpty else { throw UserError("\(path): there are no PNG files in this folder") }
    // Too few are counted when they are known to be images.
    try check(max(files.count, counts.lowerBound), in: counts, path)
    try checkMemory(bytes: files.count * shape.count, "\(path): reading \(files.count) images")
    return try files.flatMap { try image("\(path)/\($0)", shape) }
  }
}

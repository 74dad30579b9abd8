import DiffuseVAE
import Formats
import Foundation
import Neural

extension ByteImages {
  /// Anybody's images, 4 or more: an NPY file, `[N, H, W, C]`, or `[N, H, W]` of grey ones, of
  /// bytes or of numbers in [0, 1]; or a folder of PNG files, which are read in the order of their
  /// names.
  ///
  /// - Parameter shape: what each image must be.
  /// - Throws: ``UserError`` or `FormatError`, naming the file and what was expected.
  public init(samples path: String, shape: ImageShape) throws {
    var isFolder: ObjCBool = false
    guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else {
      throw UserError("\(path): no such file or folder")
    }
    let bytes =
      try isFolder.boolValue ? Self.folder(path, shape) : Self.array(path, shape)
    let count = bytes.count / shape.count
    guard Reference.counts.contains(count) else {
      throw UserError(
        "\(path): the number of images is \(count); it must be in \(Reference.counts)")
    }
    self.init(
      count: count, height: shape.height, width: shape.width,
      channels: shape.channels, bytes: bytes)
  }

  private static func array(_ path: String, _ shape: ImageShape) throws -> [UInt8] {
    let (tensor, type) = try NPY.decode(File.read(path), file: path)
    let image = [shape.height, shape.width, shape.channels]
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

  private static func folder(_ path: String, _ shape: ImageShape) throws -> [UInt8] {
    let names: [String]
    do {
      names = try FileManager.default.contentsOfDirectory(atPath: path)
    } catch {
      throw UserError("\(path): the folder cannot be read (\(error.reason))")
    }
    let files = names.filter { $0.lowercased().hasSuffix(".png") && !$0.hasPrefix(".") }.sorted()
    guard !files.isEmpty else { throw UserError("\(path): there are no PNG files in this folder") }
    guard files.count <= Reference.counts.upperBound else {
      throw UserError(
        "\(path): the number of images is \(files.count); it must be in \(Reference.counts)")
    }
    var bytes: [UInt8] = []
    for name in files {
      let file = "\(path)/\(name)"
      let image = try PNG.decode(File.read(file), file: file)
      let found = ImageShape(height: image.height, width: image.width, channels: image.channels)
      guard found == shape else {
        throw UserError("\(file): is \(found); the images of the data set are \(shape)")
      }
      bytes += image.bytes
    }
    return bytes
  }
}

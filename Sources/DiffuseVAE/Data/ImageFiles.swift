import Formats
import Foundation
import Neural

extension ByteImages {
  /// Anybody's images: an NPY file, `[N, H, W, C]`, or `[N, H, W]` of grey ones, of bytes or of
  /// numbers in [0, 1]; an NPZ file with such an array, `images`; a PNG file; or a folder of PNG files, which are read in the order of their
  /// names.
  ///
  /// - Parameters:
  ///   - shape: what each image must be; nil for what the first one is.
  ///   - counts: how many there may be.
  /// - Throws: ``UserError`` or `FormatError`, naming the file and what was expected.
  package init(files path: String, shape: ImageShape?, counts: ClosedRange<Int>) throws {
    var isFolder: ObjCBool = false
    guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else {
      throw UserError("\(path): no such file or folder")
    }
    let images =
      if isFolder.boolValue {
        try Self.folder(path, shape, counts)
      } else if path.lowercased().hasSuffix(".png") {
        try Self.image(path, shape)
      } else {
        try Self.array(path, shape, counts)
      }
    try Self.check(images.count, in: counts, path)
    self = images
  }

  /// - Parameter bytes: those of whole images.
  init(_ bytes: [UInt8], _ shape: ImageShape) {
    self.init(
      count: bytes.count / shape.count, height: shape.height, width: shape.width,
      channels: shape.channels, bytes: bytes)
  }

  package var shape: ImageShape { ImageShape(height: height, width: width, channels: channels) }

  private static func check(_ count: Int, in counts: ClosedRange<Int>, _ path: String) throws {
    guard counts.contains(count) else {
      throw UserError("\(path): the number of images is \(count); it must be in \(counts)")
    }
  }

  private static func array(
    _ path: String, _ expected: ImageShape?, _ counts: ClosedRange<Int>
  ) throws -> ByteImages {
    func shape(of array: [Int]) throws -> ImageShape {
      let found = Array(array.dropFirst())
      guard let shape = expected ?? ImageShape(sizes: found), !array.isEmpty,
        found == shape.sizes || found + [1] == shape.sizes
      else {
        let sizes = expected?.sizes.map(String.init) ?? ["H", "W", "C"]
        throw UserError(
          "\(path): is of shape \(array); expected [N, \(sizes.joined(separator: ", "))]")
      }
      return shape
    }
    let (tensor, type) = try NPY.read(path, rows: expected?.count ?? 1 << 20, name: .images) {
      array, _ in
      let image = try shape(of: array)
      guard image.isDrawable else {
        throw UserError(
          """
          \(path): images are \(image); they must have 1, 3 or 4 channels and at most 2^20 numbers
          """)
      }
      try check(array[0], in: counts, path)
    }
    let shape = try shape(of: tensor.shape)
    guard type != .uint8 else { return ByteImages(tensor.elements.map { UInt8($0) }, shape) }
    guard tensor.elements.allSatisfy({ (0...1).contains($0) }) else {
      throw UserError("\(path): numbers must be in [0, 1], or bytes (uint8)")
    }
    return ByteImages(Matrix(1, tensor.elements.count, tensor.elements).bytes, shape)
  }

  private static func image(_ path: String, _ shape: ImageShape?) throws -> ByteImages {
    let image = try PNG.read(path, limit: ImageShape.mostNumbers)
    let found = ImageShape(height: image.height, width: image.width, channels: image.channels)
    guard found == shape ?? found else {
      throw UserError("\(path): is \(found), and not \(shape ?? found)")
    }
    return ByteImages(image.bytes, found)
  }

  private static func folder(
    _ path: String, _ expected: ImageShape?, _ counts: ClosedRange<Int>
  ) throws -> ByteImages {
    let files = try names(in: path).filter { $0.lowercased().hasSuffix(".png") }
    guard let first = files.first else {
      throw UserError("\(path): there are no PNG files in this folder")
    }
    // Too few are counted when they are known to be images.
    try check(max(files.count, counts.lowerBound), in: counts, path)
    let shape = try expected ?? image("\(path)/\(first)", nil).shape
    try checkMemory(bytes: files.count * shape.count, "\(path): reading \(files.count) images")
    return ByteImages(try files.flatMap { try image("\(path)/\($0)", shape).bytes }, shape)
  }

  /// What is in a folder and not hidden, in the order of the names.
  static func names(in folder: String) throws -> [String] {
    do {
      return try FileManager.default.contentsOfDirectory(atPath: folder)
        .filter { !$0.hasPrefix(".") }.sorted()
    } catch {
      throw FileError(file: folder, problem: "the folder cannot be read", error)
    }
  }
}

import Formats
import Neural

extension Matrix {
  /// The numbers of an NPY file, or of an array in an NPZ file, a row for each element of its first
  /// dimension.
  ///
  /// - Parameters:
  ///   - shape: what each row must be.
  ///   - name: the array's, in an NPZ file that has several.
  /// - Throws: ``UserError`` or `FormatError`, naming the file and what was expected.
  package init(array path: String, of shape: [Int], name: ArrayName) throws {
    let (tensor, _) = try NPY.read(path, rows: shape.reduce(1, *), name: name) { found, _ in
      guard let count = found.first, (1...1_000_000).contains(count),
        Array(found.dropFirst()) == shape
      else {
        let sizes = shape.map(String.init).joined(separator: ", ")
        throw UserError("\(path): is of shape \(found); expected [N, \(sizes)]")
      }
    }
    self.init(tensor.shape[0], shape.reduce(1, *), tensor.elements)
    guard isFinite else { throw UserError("\(path): has numbers that are not finite") }
  }

  /// Writes an NPY file of float32, or an NPZ file if the path ends so, whole or not at all.
  ///
  /// - Parameters:
  ///   - shape: of each row.
  ///   - name: the array's, in an NPZ file.
  package func write(array path: String, of shape: [Int], name: ArrayName) throws {
    let tensor = Tensor(shape: [rows] + shape, elements: elements)
    let bytes =
      ArrayName.isArchive(path)
      ? try NPZ.encode(tensor, name: name.rawValue) : NPY.encode(tensor)
    try File.writeAtomically(bytes, to: path)
  }
}

/// What an array is called in an NPZ file. One that is alone there may be called anything.
package enum ArrayName: String {
  case images, labels, z, xT

  /// Whether a file is an NPZ one, by its ending.
  package static func isArchive(_ path: String) -> Bool { path.lowercased().hasSuffix(".npz") }

  /// Whether a file is of arrays, by its ending.
  package static func isOfArrays(_ path: String) -> Bool {
    path.lowercased().hasSuffix(".npy") || isArchive(path)
  }
}

extension NPY {
  /// A file of at most 1 000 000 rows of so many numbers, and of no more than an eighth of the machine's
  /// memory: bytes become numbers four times as large.
  ///
  /// - Parameters:
  ///   - name: the array's, in an NPZ file that has several.
  ///   - check: throws for what is of no use, before the numbers are made.
  static func read(
    _ path: String, rows size: Int, name: ArrayName,
    check: (_ shape: [Int], ElementType) throws -> Void
  ) throws -> (tensor: Tensor, type: ElementType) {
    let limit = min(8 * 1_000_000 * size + 16384, File.physicalMemory / 8)
    guard ArrayName.isArchive(path) else { return try read(path, limit: limit, check: check) }
    // What numpy.savez calls the first of arrays without names.
    let names = [name.rawValue] + (name == .images ? ["arr_0"] : [])
    let (file, bytes) = try NPZ.array(names, of: path, limit: limit)
    return try decode(bytes, file: file, check: check)
  }
}

extension ImageShape {
  /// Height, width and channels.
  package var sizes: [Int] { [height, width, channels] }

  /// One channel if none are given; nil for what no image can be.
  init?(sizes: [Int]) {
    guard (2...3).contains(sizes.count), sizes.allSatisfy({ (1...65536).contains($0) }) else {
      return nil
    }
    self.init(height: sizes[0], width: sizes[1], channels: sizes.count == 3 ? sizes[2] : 1)
  }
}

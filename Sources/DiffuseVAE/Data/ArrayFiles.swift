import Formats
import Neural

extension Matrix {
  /// The numbers of an NPY file, a row for each element of its first dimension.
  ///
  /// - Parameter shape: what each row must be.
  /// - Throws: ``UserError`` or `FormatError`, naming the file and what was expected.
  package init(array path: String, of shape: [Int]) throws {
    let (tensor, _) = try NPY.read(path, rows: shape.reduce(1, *)) { found, _ in
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

  /// Writes an NPY file of float32, whole or not at all.
  ///
  /// - Parameter shape: of each row.
  package func write(array path: String, of shape: [Int]) throws {
    let tensor = Tensor(shape: [rows] + shape, elements: elements)
    try File.writeAtomically(NPY.encode(tensor), to: path)
  }
}

extension NPY {
  /// A file of at most 1 000 000 rows of so many numbers, and of no more than an eighth of the machine's
  /// memory: bytes become numbers four times as large.
  ///
  /// - Parameter check: throws for what is of no use, before the numbers are read.
  static func read(
    _ path: String, rows size: Int, check: (_ shape: [Int], ElementType) throws -> Void
  ) throws -> (tensor: Tensor, type: ElementType) {
    let limit = min(8 * 1_000_000 * size + 16384, File.physicalMemory / 8)
    return try read(path, limit: limit, check: check)
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

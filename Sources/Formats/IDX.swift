/// IDX, the format of MNIST: two zero bytes, the type of the elements, the number of dimensions,
/// the dimensions as big-endian 32-bit numbers, then the elements in C order. Only unsigned bytes
/// (type 0x08) are read. Whether a file is compressed with gzip is told by its content, not by
/// its name.
public enum IDX {
  /// The images of a file `[N, H, W]` (one channel) or `[N, H, W, C]`.
  ///
  /// Throws `FormatError` if the file cannot be read, is not such a file, is empty or holds more
  /// than 4 GiB, or is a byte shorter or longer than its header says.
  public static func images(at path: String) throws -> ByteImages {
    let (shape, elements) = try File.read(path) { size, bytes in
      try decode(size: size, bytes, "images", ranks: [3, 4], file: path)
    }
    return images(shape, elements)
  }

  /// The labels of a file `[N]`.
  ///
  /// Throws `FormatError` for the same reasons as `images`.
  public static func labels(at path: String) throws -> [UInt8] {
    try File.read(path) { size, bytes in
      try decode(size: size, bytes, "labels", ranks: [1], file: path).elements
    }
  }

  static func images(_ bytes: [UInt8], file: String) throws -> ByteImages {
    let (shape, elements) = try decode(
      size: bytes.count, { Array(bytes[$0]) }, "images", ranks: [3, 4], file: file)
    return images(shape, elements)
  }

  private static func images(_ shape: [Int], _ elements: [UInt8]) -> ByteImages {
    ByteImages(
      count: shape[0], height: shape[1], width: shape[2],
      channels: shape.count == 4 ? shape[3] : 1, bytes: elements)
  }

  static func labels(_ bytes: [UInt8], file: String) throws -> [UInt8] {
    try decode(size: bytes.count, { Array(bytes[$0]) }, "labels", ranks: [1], file: file).elements
  }

  private static let sizeLimit = 1 << 32
  private static let longestHeader = 4 + 4 * 4  // of four dimensions

  /// Enough of a compressed file to find the header in.
  private static let beginningSize = 1 << 16

  /// Believes the header only after its sizes have been checked, and the content only if it is
  /// exactly as long as they say.
  private static func decode(
    size fileSize: Int, _ bytes: (Range<Int>) throws -> [UInt8], _ name: String, ranks: [Int],
    file: String
  ) throws -> (shape: [Int], elements: [UInt8]) {
    let beginning = try bytes(0..<min(fileSize, beginningSize))
    let isCompressed = Gzip.recognizes(beginning)
    let (shape, header) = try parse(
      header: isCompressed
        ? Gzip.inflate(
          beginning, isWhole: beginning.count == fileSize, limit: longestHeader, file: file)
        : beginning,
      name, ranks: ranks, file: file)
    guard let size = shape.checkedProduct, size <= sizeLimit else {
      throw FormatError(
        file: file, problem: "promises \(name) of \(shape); at most \(sizeLimit) bytes are read")
    }
    guard size > 0 else {
      throw FormatError(file: file, problem: "holds no \(name): its dimensions are \(shape)")
    }

    func check(_ found: Int) throws {
      guard found >= header + size else {
        throw FormatError(
          file: file,
          problem: "is cut short: \(header + size) bytes expected for \(shape), \(found) found")
      }
      guard found == header + size else {
        throw FormatError(
          file: file, problem: "goes on after the \(header + size) bytes expected for \(shape)")
      }
    }
    guard isCompressed else {
      try check(fileSize)
      let elements = try bytes(header..<fileSize)
      try check(header + elements.count)
      return (shape, elements)
    }
    try Gzip.check(size: fileSize, inflatingTo: header + size, file: file)
    let all = try Gzip.inflate(bytes(0..<fileSize), limit: header + size + 1, file: file)
    try check(all.count)
    return (shape, Array(all[header...]))
  }

  /// The dimensions, and the number of bytes in front of the elements.
  private static func parse(
    header bytes: [UInt8], _ name: String, ranks: [Int], file: String
  ) throws -> (shape: [Int], size: Int) {
    guard bytes.count >= 4, bytes.starts(with: [0, 0]) else {
      throw FormatError(
        file: file, problem: "is not an IDX file: it does not begin with two zero bytes and a type")
    }
    guard bytes[2] == 0x08 else {
      throw FormatError(
        file: file,
        problem: "holds elements of IDX type \(bytes[2]); only unsigned bytes, type 8, are read")
    }
    let rank = Int(bytes[3])
    guard ranks.contains(rank) else {
      let expected = ranks.map(String.init).joined(separator: " or ")
      throw FormatError(
        file: file, problem: "is of rank \(rank), but \(name) are of rank \(expected)")
    }
    let size = 4 + 4 * rank
    guard bytes.count >= size else {
      throw FormatError(
        file: file,
        problem: "is cut short: a header of \(size) bytes expected, \(bytes.count) bytes found")
    }
    let shape = stride(from: 4, to: size, by: 4).map { Int(bigEndian(bytes[$0..<$0 + 4])) }
    return (shape, size)
  }
}

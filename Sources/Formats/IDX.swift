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
    try images(File.read(path), file: path)
  }

  /// The labels of a file `[N]`.
  ///
  /// Throws `FormatError` for the same reasons as `images`.
  public static func labels(at path: String) throws -> [UInt8] {
    try labels(File.read(path), file: path)
  }

  static func images(_ bytes: [UInt8], file: String) throws -> ByteImages {
    let (shape, elements) = try decode(bytes, "images", ranks: [3, 4], file: file)
    return ByteImages(
      count: shape[0], height: shape[1], width: shape[2],
      channels: shape.count == 4 ? shape[3] : 1, bytes: elements)
  }

  static func labels(_ bytes: [UInt8], file: String) throws -> [UInt8] {
    try decode(bytes, "labels", ranks: [1], file: file).elements
  }

  private static let sizeLimit = 1 << 32
  private static let longestHeader = 4 + 4 * 4  // of four dimensions

  /// Believes the header only after its sizes have been checked, and the content only if it is
  /// exactly as long as they say.
  private static func decode(
    _ bytes: [UInt8], _ name: String, ranks: [Int], file: String
  ) throws -> (shape: [Int], elements: [UInt8]) {
    /// At least the first `limit` bytes of the content, as far as there are so many.
    func content(_ limit: Int) throws -> [UInt8] {
      Gzip.recognizes(bytes) ? try Gzip.inflate(bytes, limit: limit, file: file) : bytes
    }

    let (shape, header) = try parse(
      header: content(longestHeader), name, ranks: ranks, file: file)
    guard let size = shape.checkedProduct, size <= sizeLimit else {
      throw FormatError(
        file: file, problem: "promises \(name) of \(shape); at most \(sizeLimit) bytes are read")
    }
    guard size > 0 else {
      throw FormatError(file: file, problem: "holds no \(name): its dimensions are \(shape)")
    }

    let all = try content(header + size + 1)
    guard all.count >= header + size else {
      throw FormatError(
        file: file,
        problem: "is cut short: \(header + size) bytes expected for \(shape), \(all.count) found")
    }
    guard all.count == header + size else {
      throw FormatError(
        file: file, problem: "goes on after the \(header + size) bytes expected for \(shape)")
    }
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

/// NPY, the format of `numpy.save`: a magic string, a version, the length of a header, the header
/// as a Python dictionary, and the elements.
public enum NPY {
  private static let magic: [UInt8] = [0x93, 0x4E, 0x55, 0x4D, 0x50, 0x59]  // "\x93NUMPY"

  /// The file, in version 1.0, of little-endian 32-bit floats in C order; the elements begin at a
  /// multiple of 64 bytes. NumPy, and hence `tensor`, has at most 64 dimensions.
  public static func encode(_ tensor: Tensor) -> [UInt8] {
    precondition(tensor.shape.count <= 64, "NumPy has at most 64 dimensions")
    let shape = tensor.shape.map(String.init).joined(separator: ", ")
    let tuple = tensor.shape.count == 1 ? "(\(shape),)" : "(\(shape))"
    var header = "{'descr': '<f4', 'fortran_order': False, 'shape': \(tuple), }"
    let prefix = magic.count + 4  // the version and the header's length take two bytes each
    let unpadded = prefix + header.utf8.count + 1
    header += String(repeating: " ", count: unpadded.distance(toMultipleOf: 64)) + "\n"

    var bytes: [UInt8] = []
    bytes.reserveCapacity(prefix + header.utf8.count + 4 * tensor.elements.count)
    bytes += magic
    bytes += [1, 0, UInt8(header.utf8.count & 0xFF), UInt8(header.utf8.count >> 8)]
    bytes += header.utf8
    bytes.append(elementsOf: tensor)
    return bytes
  }

  /// How elements are stored.
  public enum ElementType: String, Sendable {
    case float32 = "<f4"
    case float64 = "<f8"
    case uint8 = "|u1"

    /// Bytes of one.
    var size: Int {
      switch self {
      case .uint8: 1
      case .float32: 4
      case .float64: 8
      }
    }
  }

  /// The tensor in a file of version 1.0, 2.0 or 3.0 in C order, and the type of its elements
  /// there: float64 is rounded to `Float`, bytes stay 0...255.
  ///
  /// - Parameters:
  ///   - limit: bytes that the file may have.
  ///   - check: throws for a shape or a type that is of no use, before the elements are read.
  ///
  /// Throws `FormatError` if it is anything else, or the shape does not fit the number of bytes.
  public static func read(
    _ path: String, limit: Int, check: (_ shape: [Int], ElementType) throws -> Void
  ) throws -> (tensor: Tensor, type: ElementType) {
    try File.read(path, limit: limit) { size, bytes in
      try decode(size: size, bytes, file: path, check: check)
    }
  }

  /// The same of a file's bytes.
  public static func decode(
    _ bytes: [UInt8], file: String,
    check: (_ shape: [Int], ElementType) throws -> Void = { _, _ in }
  ) throws -> (tensor: Tensor, type: ElementType) {
    try decode(size: bytes.count, { Array(bytes[$0]) }, file: file, check: check)
  }

  /// As long as NumPy reads, unless it is told to trust a file.
  private static let longestHeader = 10_000

  /// - Parameter bytes: any part of the file, less only if it has shrunk.
  static func decode(
    size: Int, _ bytes: (Range<Int>) throws -> [UInt8], file: String,
    check: ([Int], ElementType) throws -> Void
  ) throws -> (tensor: Tensor, type: ElementType) {
    let beginning = try bytes(0..<min(size, 12 + longestHeader))
    guard beginning.starts(with: magic) else {
      throw Pickle.refusal(of: beginning, file: file)
        ?? FormatError(
          file: file, problem: "is not an NPY file: it does not begin with \\x93NUMPY")
    }
    guard beginning.count >= 12 else {
      throw FormatError(
        file: file, problem: "is an NPY file cut short: it ends after \(beginning.count) bytes")
    }
    guard (1...3).contains(beginning[6]), beginning[7] == 0 else {
      throw FormatError(
        file: file,
        problem: "is NPY version \(beginning[6]).\(beginning[7]); only 1.0, 2.0 and 3.0 are read")
    }
    let prefix = beginning[6] == 1 ? 10 : 12
    let length = Int(littleEndian(beginning[8..<prefix]))
    guard length <= size - prefix else {
      throw FormatError(
        file: file,
        problem: "is an NPY file cut short: a header of \(length) bytes expected, "
          + "\(size - prefix) found")
    }
    guard length <= longestHeader, prefix + length <= beginning.count else {
      throw FormatError(
        file: file, problem: "has a header of \(length) bytes; at most \(longestHeader) are read")
    }
    let (type, shape) = try parse(beginning[prefix..<prefix + length], file: file)

    let dataSize = size - prefix - length
    guard (shape + [type.size]).checkedProduct == dataSize else {
      throw FormatError(
        file: file,
        problem: "has \(dataSize) bytes of data, which is not \(shape) elements of "
          + "\(type.size) bytes")
    }
    try check(shape, type)
    let data = try bytes(prefix + length..<size)
    guard data.count == dataSize else {
      throw FormatError(file: file, problem: "has shrunk while it was read")
    }
    let elements =
      switch type {
      case .uint8: data.map(Float.init)
      case .float32: floats(data[...])
      case .float64: floats(roundingDoubles: data[...])
      }
    return (Tensor(shape: shape, elements: elements), type)
  }

  /// `{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }`, the keys in any order.
  private static func parse(
    _ header: ArraySlice<UInt8>, file: String
  ) throws -> (type: ElementType, shape: [Int]) {
    var (type, order, shape): (String?, String?, [Int]?)
    var scanner = HeaderScanner(header, file: file)
    try scanner.items("{", "}", trailingComma: true) { scanner in
      let key = try scanner.pythonString()
      try scanner.expect(":")
      switch key {
      case "descr" where type == nil: type = try scanner.pythonString()
      case "fortran_order" where order == nil: order = scanner.word()
      case "shape" where shape == nil:
        shape = try scanner.wholeNumbers("(", ")", trailingComma: true)
      default: throw scanner.problem("unknown or repeated key \(quoted(key))")
      }
    }
    try scanner.expectEnd()

    guard let type, let order, let shape else {
      throw scanner.problem("'descr', 'fortran_order' and 'shape' expected, not all found")
    }
    guard let elementType = ElementType(rawValue: type) else {
      throw FormatError(
        file: file, problem: "holds elements of type \(quoted(type)); <f4, <f8 and |u1 are read")
    }
    guard order == "False" else {
      throw FormatError(
        file: file, problem: "has fortran_order \(quoted(order)); only C order, False, is read")
    }
    return (elementType, shape)
  }
}

extension HeaderScanner {
  /// A string in single or double quotes, without escapes: types and keys have none.
  fileprivate mutating func pythonString() throws -> String {
    let quote: UInt8
    if take("'") {
      quote = UInt8(ascii: "'")
    } else if take("\"") {
      quote = UInt8(ascii: "\"")
    } else {
      throw expected("a string")
    }
    var text: [UInt8] = []
    while let byte = rest.popFirst(), byte != UInt8(ascii: "\\") {
      if byte == quote { return String(decoding: text, as: UTF8.self) }
      text.append(byte)
    }
    throw expected("the end of a string without escapes")
  }
}

extension Int {
  /// What is missing to the next multiple of `divisor`, 0 if this is one.
  func distance(toMultipleOf divisor: Int) -> Int { (divisor - self % divisor) % divisor }
}

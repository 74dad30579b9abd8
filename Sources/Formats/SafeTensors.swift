/// Named tensors and a note about them: a file of safetensors (github.com/huggingface/safetensors).
///
/// It is eight bytes with the length of the header, least significant first, the header in JSON,
/// and the elements. Only 32-bit floats (`F32`) are read or written.
public struct SafeTensors: Equatable, Sendable {
  public var metadata: [String: String]
  public var tensors: [String: Tensor]

  public init(metadata: [String: String] = [:], tensors: [String: Tensor] = [:]) {
    self.metadata = metadata
    self.tensors = tensors
  }

  /// The file at `path`; throws `FormatError` as `File.read` and `init(decoding:file:)` do.
  public static func read(_ path: String) throws -> SafeTensors {
    try SafeTensors(decoding: File.read(path), file: path)
  }

  /// The bytes of the file. They depend on the content alone: everything is sorted by name. The
  /// elements begin at a multiple of 8 bytes. No tensor may be named `__metadata__`.
  public func encoded() -> [UInt8] { Array(parts.joined()) }

  /// Makes this the content of the file at `path`, as ``File/writeAtomically(_:to:)`` does, with the
  /// bytes of one tensor at a time in memory.
  public func write(to path: String) throws { try File.writeAtomically(parts: parts, to: path) }

  /// The header, and the bytes of every tensor.
  private var parts: some Sequence<[UInt8]> {
    precondition(tensors[SafeTensorsHeader.metadataKey] == nil, "__metadata__ is reserved")
    let sorted = tensors.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
    var end = 0
    let entries = sorted.map { name, tensor in
      let begin = end
      end += 4 * tensor.elements.count
      return SafeTensorsHeader.Entry(name: name, shape: tensor.shape, begin: begin, end: end)
    }
    var header = SafeTensorsHeader(metadata: metadata, entries: entries).encoded()
    header += String(repeating: " ", count: header.utf8.count.distance(toMultipleOf: 8))
    let first =
      withUnsafeBytes(of: UInt64(header.utf8.count).littleEndian, Array.init) + header.utf8
    return (0...sorted.count).lazy.map { part in
      var bytes = part == 0 ? first : []
      if part > 0 { bytes.append(elementsOf: sorted[part - 1].value) }
      return bytes
    }
  }

  /// The content of a file.
  ///
  /// Throws `FormatError` if the header is longer than the file or 100 MB, is not JSON of the
  /// specified form, repeats a name, has a tensor that is not `F32`, or if the tensors do not fill
  /// the rest of the file without gap or overlap, each as its shape demands.
  public init(decoding bytes: [UInt8], file: String) throws {
    guard bytes.count >= 8 else {
      throw FormatError(
        file: file,
        problem: "is not a safetensors file: at least 8 bytes expected, \(bytes.count) found")
    }
    let length = littleEndian(bytes[..<8])
    guard length <= 100_000_000, length <= bytes.count - 8 else {
      throw FormatError(
        file: file,
        problem: "is not a safetensors file, or cut short: a header of \(length) bytes expected, "
          + "at most 100000000 and the \(bytes.count - 8) that follow allowed")
    }
    let dataStart = 8 + Int(length)
    let data = bytes[dataStart...]
    let header = try SafeTensorsHeader(decoding: bytes[8..<dataStart], file: file)

    self.init(metadata: header.metadata)
    tensors.reserveCapacity(header.entries.count)
    var end = 0
    for entry in header.entries.sorted(by: { ($0.begin, $0.end) < ($1.begin, $1.end) }) {
      func problem(_ text: String) -> FormatError {
        FormatError(file: file, problem: "tensor \(quoted(entry.name)) \(text)")
      }
      let offsets = "[\(entry.begin), \(entry.end)]"
      guard entry.begin == end, entry.end >= end else {
        throw problem(
          "has data_offsets \(offsets), which do not begin at \(end), where they should")
      }
      guard entry.end <= data.count else {
        throw problem("has data_offsets \(offsets), but only \(data.count) bytes of data are there")
      }
      guard (entry.shape + [4]).checkedProduct == entry.end - entry.begin else {
        throw problem(
          "has \(entry.end - entry.begin) bytes, which is not a shape of \(entry.shape)")
      }
      let elements = data[dataStart + entry.begin..<dataStart + entry.end]
      tensors[entry.name] = Tensor(shape: entry.shape, elements: floats(elements))
      end = entry.end
    }
    guard end == data.count else {
      throw FormatError(
        file: file, problem: "has \(data.count) bytes of data, of which tensors fill only \(end)")
    }
  }
}

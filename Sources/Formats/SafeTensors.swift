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

  /// The file at `path`; throws `FormatError` as `File.read` and `init(decoding:file:)` do. The bytes
  /// of one tensor at a time are in memory, so that a file of half the memory's size fits.
  public static func read(_ path: String) throws -> SafeTensors {
    try File.read(path, limit: File.physicalMemory / 10 * 9) { size, bytes in
      try SafeTensors(size: size, bytes, file: path)
    }
  }

  /// The bytes of the file. They depend on the content alone: everything is sorted by name. The
  /// elements begin at a multiple of 8 bytes. No tensor may be named `__metadata__`.
  public func encoded() -> [UInt8] { parts.reduce(into: []) { $0 += $1 } }

  /// Makes this the content of the file at `path`, as ``File/writeAtomically(_:to:)`` does, with the
  /// bytes of one tensor at a time in memory. The note then has a checksum of every tensor, by which
  /// whoever reads the file here knows that none was damaged.
  public func write(to path: String) throws {
    var file = self
    file.metadata[Self.checksumsKey] = sorted.map { Self.checksum($0.value.bytes) }
      .joined(separator: " ")
    try File.writeAtomically(parts: file.parts, to: path)
  }

  /// Of ``Fingerprint``s of the tensors' bytes, in the order of their names.
  private static let checksumsKey = "fnv1a_checksums"

  private static func checksum(_ bytes: some Collection<UInt8>) -> String {
    var fingerprint = Fingerprint()
    fingerprint.add(Array(bytes))
    return fingerprint.hexadecimal
  }

  private var sorted: [(key: String, value: Tensor)] {
    tensors.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
  }

  /// The header, and the bytes of every tensor.
  private var parts: some Sequence<[UInt8]> {
    precondition(tensors[SafeTensorsHeader.metadataKey] == nil, "__metadata__ is reserved")
    let sorted = sorted
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
      part == 0 ? first : sorted[part - 1].value.bytes
    }
  }

  /// The content of a file.
  ///
  /// Throws `FormatError` if the header is longer than the file or 2 MiB, is not JSON of the
  /// specified form, repeats a name, has a tensor that is not `F32`, or if the tensors do not fill
  /// the rest of the file without gap or overlap, each as its shape demands, or are not those that the
  /// checksums in the note are of, if it has any.
  public init(decoding bytes: [UInt8], file: String) throws {
    try self.init(size: bytes.count, { Array(bytes[$0]) }, file: file)
  }

  /// Of headers, in bytes: more than the deepest network's training needs. The format itself allows
  /// 100 MB.
  private static let longestHeader = 1 << 21

  /// - Parameter bytes: any part of the file, less only if it has shrunk.
  init(size: Int, _ bytes: (Range<Int>) throws -> [UInt8], file: String) throws {
    func part(_ range: Range<Int>) throws -> ArraySlice<UInt8> {
      let part = try bytes(range)
      guard part.count == range.count else {
        throw FormatError(file: file, problem: "has shrunk while it was read")
      }
      return part[...]
    }
    guard size >= 8 else {
      throw FormatError(
        file: file,
        problem: "is not a safetensors file: at least 8 bytes expected, \(size) found")
    }
    // Enough to tell a pickle by, whose opcodes make as numbers a length that is refused.
    let beginning = try part(0..<min(size, 4096))
    let length = littleEndian(beginning.prefix(8))
    guard length <= Self.longestHeader, length <= size - 8 else {
      throw Pickle.refusal(of: beginning, file: file)
        ?? FormatError(
          file: file,
          problem: "is not a safetensors file, or cut short: a header of \(length) bytes expected, "
            + "at most \(Self.longestHeader) and the \(size - 8) that follow allowed")
    }
    let dataStart = 8 + Int(length)
    let dataSize = size - dataStart
    let header = try SafeTensorsHeader(decoding: part(0..<dataStart)[8...], file: file)

    self.init(metadata: header.metadata)
    tensors.reserveCapacity(header.entries.count)
    let names = header.entries.map(\.name).sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    let checksums = metadata.removeValue(forKey: Self.checksumsKey)?.split(separator: " ")
    guard checksums.map({ $0.count == names.count }) ?? true else {
      throw FormatError(
        file: file, problem: "has \(checksums?.count ?? 0) checksums of \(names.count) tensors")
    }
    let expected = checksums.map { Dictionary(uniqueKeysWithValues: zip(names, $0)) }
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
      guard entry.end <= dataSize else {
        throw problem("has data_offsets \(offsets), but only \(dataSize) bytes of data are there")
      }
      guard (entry.shape + [4]).checkedProduct == entry.end - entry.begin else {
        throw problem(
          "has \(entry.end - entry.begin) bytes, which is not a shape of \(entry.shape)")
      }
      let bytes = try part(dataStart + entry.begin..<dataStart + entry.end)
      if let expected = expected?[entry.name], Self.checksum(bytes) != expected {
        throw problem("is damaged: its bytes are not those that its checksum is of")
      }
      tensors[entry.name] = Tensor(shape: entry.shape, elements: floats(bytes))
      end = entry.end
    }
    guard end == dataSize else {
      throw FormatError(
        file: file, problem: "has \(dataSize) bytes of data, of which tensors fill only \(end)")
    }
  }
}

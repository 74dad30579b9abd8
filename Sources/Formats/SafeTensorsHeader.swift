/// The header of a safetensors file: the note, and where each tensor lies.
///
///     {"__metadata__": {"k": "v"}, "a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}
///
/// That is all the JSON there can be, so no more is understood: a general parser would recurse,
/// keep the last of two equal names, and let numbers through that are not whole.
struct SafeTensorsHeader {
  /// `begin..<end` are offsets in bytes from the end of the header.
  struct Entry {
    var name: String
    var shape: [Int]
    var begin, end: Int
  }

  static let metadataKey = "__metadata__"

  /// Twice what the deepest network's training writes.
  private static let mostTensors = 16_384

  var metadata: [String: String]
  var entries: [Entry]
}

extension SafeTensorsHeader {
  func encoded() -> String {
    let notes = metadata.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
      .map { "\(json($0.key)):\(json($0.value))" }
    var fields = notes.isEmpty ? [] : ["\"__metadata__\":{\(notes.joined(separator: ","))}"]
    fields += entries.map {
      let shape = $0.shape.map(String.init).joined(separator: ",")
      return "\(json($0.name)):{\"dtype\":\"F32\",\"shape\":[\(shape)],"
        + "\"data_offsets\":[\($0.begin),\($0.end)]}"
    }
    return "{\(fields.joined(separator: ","))}"
  }
}

/// `text` as a JSON string.
private func json(_ text: String) -> String {
  var string = "\""
  for scalar in text.unicodeScalars {
    switch scalar {
    case "\"", "\\": string += "\\\(scalar)"
    case "\n": string += "\\n"
    case "\0"..<" ":
      let hex = String(scalar.value, radix: 16)
      string += "\\u" + String(repeating: "0", count: 4 - hex.count) + hex
    default: string.unicodeScalars.append(scalar)
    }
  }
  return string + "\""
}

extension SafeTensorsHeader {
  /// `header` must begin with a brace, and may end in spaces.
  init(decoding header: ArraySlice<UInt8>, file: String) throws {
    var scanner = HeaderScanner(header, file: file)
    guard header.first == UInt8(ascii: "{") else { throw scanner.expected("\"{\"") }
    var notes: [String: String]?
    var entries: [Entry] = []
    var names: Set<String> = []
    try scanner.items("{", "}") { scanner in
      let name = try scanner.jsonKey()
      guard names.insert(name).inserted else {
        throw scanner.problem("the name \(quoted(name)) appears twice")
      }
      guard entries.count < Self.mostTensors else {
        throw scanner.problem("more than \(Self.mostTensors) tensors")
      }
      if name == Self.metadataKey {
        notes = try scanner.metadata()
      } else {
        entries.append(try scanner.entry(name))
      }
    }
    try scanner.expectEnd()
    self.init(metadata: notes ?? [:], entries: entries)
  }
}

extension HeaderScanner {
  fileprivate mutating func metadata() throws -> [String: String] {
    var metadata: [String: String] = [:]
    try items("{", "}") { scanner in
      let key = try scanner.jsonKey()
      guard metadata.updateValue(try scanner.jsonString(), forKey: key) == nil else {
        throw scanner.problem("the key \(quoted(key)) of __metadata__ appears twice")
      }
    }
    return metadata
  }

  fileprivate mutating func entry(_ name: String) throws -> SafeTensorsHeader.Entry {
    var (type, shape, offsets): (String?, [Int]?, [Int]?)
    try items("{", "}") { scanner in
      let key = try scanner.jsonKey()
      switch key {
      case "dtype" where type == nil: type = try scanner.jsonString()
      case "shape" where shape == nil: shape = try scanner.wholeNumbers("[", "]")
      case "data_offsets" where offsets == nil: offsets = try scanner.wholeNumbers("[", "]")
      default:
        throw scanner.problem("tensor \(quoted(name)) has the unknown or repeated \(quoted(key))")
      }
    }
    guard let type, let shape, let offsets, offsets.count == 2 else {
      throw problem("tensor \(quoted(name)) lacks a dtype, a shape or two data_offsets")
    }
    guard type == "F32" else {
      throw FormatError(
        file: file, problem: "tensor \(quoted(name)) is of dtype \(quoted(type)); only F32 is read")
    }
    return SafeTensorsHeader.Entry(name: name, shape: shape, begin: offsets[0], end: offsets[1])
  }

  fileprivate mutating func jsonKey() throws -> String {
    let key = try jsonString()
    try expect(":")
    return key
  }

  private mutating func jsonString() throws -> String {
    guard take("\"") else { throw expected("a string") }
    var text: [UInt8] = []
    while let byte = rest.popFirst() {
      switch byte {
      case UInt8(ascii: "\""):
        guard let string = String(validating: text, as: UTF8.self) else {
          throw problem("the string before is not UTF-8")
        }
        return string
      case UInt8(ascii: "\\"): text += try escaped().utf8
      case 0..<0x20: throw problem("a string contains a control character")
      default: text.append(byte)
      }
    }
    throw expected("the end of a string")
  }

  /// The character that a backslash, already taken, introduces.
  private mutating func escaped() throws -> String {
    switch rest.popFirst().map(Unicode.Scalar.init) {
    case "\"": return "\""
    case "\\": return "\\"
    case "/": return "/"
    case "b": return "\u{8}"
    case "f": return "\u{C}"
    case "n": return "\n"
    case "r": return "\r"
    case "t": return "\t"
    case "u":
      // Characters beyond U+FFFF are two units, a leading and a trailing surrogate.
      var units = [try hexadecimal()]
      if UTF16.isLeadSurrogate(units[0]), rest.starts(with: "\\u".utf8) {
        rest = rest.dropFirst(2)
        units.append(try hexadecimal())
      }
      guard let character = String(validating: units, as: UTF16.self) else {
        throw problem("half a surrogate pair in a string")
      }
      return character
    default: throw problem("unknown escape in a string")
    }
  }

  private mutating func hexadecimal() throws -> UInt16 {
    let digits = rest.prefix(4)
    var unit: UInt16 = 0
    for digit in digits {
      switch digit {
      case UInt8(ascii: "0")...UInt8(ascii: "9"): unit = unit << 4 | UInt16(digit & 0xF)
      case UInt8(ascii: "A")...UInt8(ascii: "F"), UInt8(ascii: "a")...UInt8(ascii: "f"):
        unit = unit << 4 | UInt16(digit & 0xF + 9)
      default: throw expected("four hexadecimal digits")
      }
    }
    guard digits.count == 4 else { throw expected("four hexadecimal digits") }
    rest = rest[digits.endIndex...]
    return unit
  }
}

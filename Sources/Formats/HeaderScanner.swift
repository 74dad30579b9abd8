/// Reads the text in the header of a file, a token at a time. The headers of NPY and safetensors
/// have fixed depth, so their parsers call this without recursion, and no nesting can exhaust the
/// stack.
struct HeaderScanner {
  /// What is left to read; its indices are offsets in the file.
  var rest: ArraySlice<UInt8>
  let file: String

  init(_ header: ArraySlice<UInt8>, file: String) {
    rest = header
    self.file = file
  }

  /// The error that says what was wanted here.
  func expected(_ wanted: String) -> FormatError {
    let found = rest.first.map { quoted(String(Unicode.Scalar($0))) } ?? "the end"
    return problem("\(wanted) expected, \(found) found")
  }

  func problem(_ problem: String) -> FormatError {
    FormatError(file: file, problem: "header at byte \(rest.startIndex): \(problem)")
  }

  mutating func skipSpaces() {
    rest = rest.drop { $0 == 0x20 || $0 == 0x09 || $0 == 0x0A || $0 == 0x0D }
  }

  /// Whether the next character that is not a space is `character`; if so, it is taken.
  mutating func take(_ character: Unicode.Scalar) -> Bool {
    skipSpaces()
    guard rest.first == UInt8(ascii: character) else { return false }
    rest = rest.dropFirst()
    return true
  }

  mutating func expect(_ character: Unicode.Scalar) throws {
    guard take(character) else { throw expected("\"\(character)\"") }
  }

  /// Nothing may be left but spaces.
  mutating func expectEnd() throws {
    skipSpaces()
    guard rest.isEmpty else { throw expected("the end") }
  }

  /// A sequence of ASCII letters, which differ by 0x20 in case; possibly empty.
  mutating func word() -> String {
    skipSpaces()
    let letters = rest.prefix { UInt8(ascii: "a")...UInt8(ascii: "z") ~= $0 | 0x20 }
    rest = rest[letters.endIndex...]
    return String(decoding: letters, as: UTF8.self)
  }

  /// Decimal digits without sign, fraction, exponent or leading zero.
  mutating func wholeNumber() throws -> Int {
    skipSpaces()
    let digits = rest.prefix { UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 }
    guard
      let number = Int(String(decoding: digits, as: UTF8.self)),
      digits.count == 1 || digits.first != UInt8(ascii: "0")
    else { throw expected("a whole number below 2^63") }
    rest = rest[digits.endIndex...]
    return number
  }

  /// Whole numbers between two brackets, at most 64: NumPy has no more dimensions.
  mutating func wholeNumbers(
    _ open: Unicode.Scalar, _ close: Unicode.Scalar, trailingComma: Bool = false
  ) throws -> [Int] {
    var numbers: [Int] = []
    try items(open, close, trailingComma: trailingComma) { scanner in
      guard numbers.count < 64 else { throw scanner.problem("more than 64 numbers in a list") }
      numbers.append(try scanner.wholeNumber())
    }
    return numbers
  }

  /// Items between two brackets, with commas between them. Python allows one more after the last.
  mutating func items(
    _ open: Unicode.Scalar, _ close: Unicode.Scalar, trailingComma: Bool = false,
    _ item: (inout HeaderScanner) throws -> Void
  ) throws {
    try expect(open)
    if take(close) { return }
    while true {
      try item(&self)
      if take(close) { return }
      guard take(",") else { throw expected("\",\" or \"\(close)\"") }
      if trailingComma, take(close) { return }
    }
  }
}

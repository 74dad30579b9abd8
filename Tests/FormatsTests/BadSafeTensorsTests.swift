import Testing

@testable import Formats

@Suite struct BadSafeTensorsTests {
  private static func file(_ header: String, data: Int = 8, length: UInt64? = nil) -> [UInt8] {
    withUnsafeBytes(of: (length ?? UInt64(header.utf8.count)).littleEndian, Array.init)
      + Array(header.utf8) + [UInt8](repeating: 0, count: data)
  }

  /// One tensor; the value of `shape` begins at byte 36 of the file.
  private static func one(
    _ shape: String = "[2]", _ offsets: String = "[0,8]", type: String = "F32"
  ) -> String {
    #"{"a":{"dtype":"\#(type)","shape":\#(shape),"data_offsets":\#(offsets)}}"#
  }

  private static func two(_ first: String, _ second: String) -> String {
    let entry = #""dtype":"F32","shape":[2],"data_offsets":"#
    return "{\"a\":{\(entry)\(first)},\"b\":{\(entry)\(second)}}"
  }

  static let sizes: [BadFile] = (0..<8).map {
    BadFile(
      [UInt8](repeating: 0, count: $0),
      "is not a safetensors file: at least 8 bytes expected, \($0) found")
  }

  /// Lengths of a header before the ten bytes that there are.
  static let lengths: [BadFile] =
    ([
      11, 12, 1 << 20, 2_097_152, 2_097_153, 100_000_000, 1 << 32, 1 << 60, 1 << 63, .max,
    ] as [UInt64]).map {
      BadFile(
        file("{}", length: $0),
        "is not a safetensors file, or cut short: a header of \($0) bytes expected, at most 2097152 "
          + "and the 10 that follow allowed")
    }

  /// Headers, and what is wrong at which byte of the file.
  static let headers: [BadFile] = [
    ("", 8, "\"{\" expected, the end found"), (" {}", 8, "\"{\" expected, \" \" found"),
    ("[]", 8, "\"{\" expected, \"[\" found"), ("null", 8, "\"{\" expected, \"n\" found"),
    ("\"a\"", 8, "\"{\" expected, \"\\\"\" found"), ("\0\0", 8, "\"{\" expected, \"\\0\" found"),
    ("{", 9, "a string expected, the end found"), ("{,}", 9, "a string expected, \",\" found"),
    ("{a:1}", 9, "a string expected, \"a\" found"),
    ("{'a':{}}", 9, "a string expected, \"'\" found"),
    ("{{}}", 9, "a string expected, \"{\" found"), ("{1:2}", 9, "a string expected, \"1\" found"),
    ("{}}", 10, "the end expected, \"}\" found"), ("{} {}", 11, "the end expected, \"{\" found"),
    ("{}\0", 10, "the end expected, \"\\0\" found"), ("{\"a\"}", 12, "\":\" expected, \"}\" found"),
    ("{\"a\",\"b\"}", 12, "\":\" expected, \",\" found"),
    ("{\"a\":}", 13, "\"{\" expected, \"}\" found"),
    ("{\"a\":1}", 13, "\"{\" expected, \"1\" found"),
    ("{\"a\":null}", 13, "\"{\" expected, \"n\" found"),
    ("{\"a\":[]}", 13, "\"{\" expected, \"[\" found"),
    ("{\"a\":\"b\"}", 13, "\"{\" expected, \"\\\"\" found"),
    ("{\"a", 11, "the end of a string expected, the end found"),
    ("{\"a\":{\"dtype", 20, "the end of a string expected, the end found"),
    ("{\"\\", 11, "unknown escape in a string"), ("{\"\\x\":1}", 12, "unknown escape in a string"),
    ("{\"\\0\":1}", 12, "unknown escape in a string"),
    ("{\"\\'\":1}", 12, "unknown escape in a string"),
    ("{\"\\u12", 12, "four hexadecimal digits expected, \"1\" found"),
    ("{\"\\u00g0\":1}", 12, "four hexadecimal digits expected, \"0\" found"),
    ("{\"\\u+123\":1}", 12, "four hexadecimal digits expected, \"+\" found"),
    ("{\"\\ud800\":1}", 16, "half a surrogate pair in a string"),
    ("{\"\\udc00\":1}", 16, "half a surrogate pair in a string"),
    ("{\"\\ud800\\u0041\":1}", 22, "half a surrogate pair in a string"),
    ("{\"\u{1}\":1}", 11, "a string contains a control character"),
    ("{\"a\n\":1}", 12, "a string contains a control character"),
    ("{\"\t\":1}", 11, "a string contains a control character"),
    ("{\"__metadata__\":[]}", 24, "\"{\" expected, \"[\" found"),
    ("{\"__metadata__\":null}", 24, "\"{\" expected, \"n\" found"),
    ("{\"__metadata__\":{\"a\":1}}", 29, "a string expected, \"1\" found"),
    ("{\"__metadata__\":{\"a\":{}}}", 29, "a string expected, \"{\" found"),
    ("{\"__metadata__\":{\"a\":\"b\",}}", 33, "a string expected, \"}\" found"),
    ("{\"__metadata__\":{},}", 27, "a string expected, \"}\" found"),
    ("{\"__metadata__\":{}", 26, "\",\" or \"}\" expected, the end found"),
    ("{\"__metadata__\":{},\"__metadata__\":{}}", 42, "the name \"__metadata__\" appears twice"),
    (
      "{\"__metadata__\":{\"k\":\"1\",\"k\":\"2\"}}", 40,
      "the key \"k\" of __metadata__ appears twice"
    ),
    (
      String(one().dropLast()) + "," + String(one().dropFirst()), 66, "the name \"a\" appears twice"
    ),
    ("{\"a\":{}}", 15, "tensor \"a\" lacks a dtype, a shape or two data_offsets"),
    ("{\"a\":{\"more\":1}}", 21, "tensor \"a\" has the unknown or repeated \"more\""),
    ("{\"a\":{\"Dtype\":1}}", 22, "tensor \"a\" has the unknown or repeated \"Dtype\""),
    (
      "{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F32\"}}", 36,
      "tensor \"a\" has the unknown or repeated \"dtype\""
    ),
    (
      "{\"a\":{\"dtype\":\"F32\",\"shape\":[2]}}", 40,
      "tensor \"a\" lacks a dtype, a shape or two data_offsets"
    ),
    (
      "{\"a\":{\"shape\":[2],\"data_offsets\":[0,8]}}", 47,
      "tensor \"a\" lacks a dtype, a shape or two data_offsets"
    ),
    (one("[2]", "[]"), 58, "tensor \"a\" lacks a dtype, a shape or two data_offsets"),
    (one("[2]", "[0]"), 59, "tensor \"a\" lacks a dtype, a shape or two data_offsets"),
    (one("[2]", "[0,4,8]"), 63, "tensor \"a\" lacks a dtype, a shape or two data_offsets"),
    (one("[\(String(repeating: "1,", count: 64))2]"), 165, "more than 64 numbers in a list"),
    ("{\"a\":{\"dtype\":4}}", 22, "a string expected, \"4\" found"),
    ("{\"a\":{\"dtype\":null}}", 22, "a string expected, \"n\" found"),
    ("{\"a\":" + String(repeating: "[", count: 5000), 13, "\"{\" expected, \"[\" found"),
  ].map { header, byte, problem in
    BadFile(file(header), "header at byte \(byte): \(problem)")
  }

  /// What stands for the shape, and what is wrong at which byte.
  static let shapes: [BadFile] = [
    ("[-2]", 37, "a whole number below 2^63", "-"), ("[+2]", 37, "a whole number below 2^63", "+"),
    ("[02]", 37, "a whole number below 2^63", "0"),
    ("[true]", 37, "a whole number below 2^63", "t"),
    ("[null]", 37, "a whole number below 2^63", "n"),
    ("[\"2\"]", 37, "a whole number below 2^63", "\\\""),
    ("[[2]]", 37, "a whole number below 2^63", "["), ("[,2]", 37, "a whole number below 2^63", ","),
    ("[9223372036854775808]", 37, "a whole number below 2^63", "9"),
    ("[2,]", 39, "a whole number below 2^63", "]"), ("[2.0]", 38, "\",\" or \"]\"", "."),
    ("[2e0]", 38, "\",\" or \"]\"", "e"), ("[2 2]", 39, "\",\" or \"]\"", "2"),
    ("[2}", 38, "\",\" or \"]\"", "}"), ("2", 36, "\"[\"", "2"), ("null", 36, "\"[\"", "n"),
    ("{}", 36, "\"[\"", "{"), ("\"[2]\"", 36, "\"[\"", "\\\""),
  ].map { shape, byte, wanted, found in
    BadFile(file(one(shape)), "header at byte \(byte): \(wanted) expected, \"\(found)\" found")
  }

  static let types: [BadFile] = [
    "F16", "BF16", "F64", "F8_E4M3", "I64", "I32", "U8", "BOOL", "C64", "f32", "F32 ", "",
  ].map {
    BadFile(file(one(type: $0)), "tensor \"a\" is of dtype \"\($0)\"; only F32 is read")
  }

  /// Shapes for eight bytes, and the sizes that they are read as.
  static let unfit: [BadFile] = [
    ("[]", "[]"), ("[1]", "[1]"), ("[3]", "[3]"), ("[0]", "[0]"), ("[8]", "[8]"),
    ("[1,3]", "[1, 3]"), ("[2,0]", "[2, 0]"), ("[9223372036854775807]", "[9223372036854775807]"),
    ("[4611686018427387904,4]", "[4611686018427387904, 4]"),
    ("[4294967296,4294967296]", "[4294967296, 4294967296]"),
    ("[2305843009213693953,2]", "[2305843009213693953, 2]"),
  ].map { shape, sizes in
    BadFile(file(one(shape)), "tensor \"a\" has 8 bytes, which is not a shape of \(sizes)")
  }

  /// More tensors than any network has.
  static let crowds: [BadFile] = [
    16_385, 20_000,
  ].map { count in
    let names = (0..<count).map { String(100_000 + $0) }
    let entry = #"{"dtype":"F32","shape":[0],"data_offsets":[0,0]}"#
    let header = names.map { "\"\($0)\":\(entry)" }.joined(separator: ",")
    return BadFile(
      // A brace, then 16384 entries of 58 bytes with their commas, and the next name with its colon.
      file("{\(header)}", data: 0),
      "header at byte \(8 + 1 + 16_384 * 58 + 9): more than 16384 tensors")
  }

  static let offsets: [BadFile] = [
    BadFile(
      file(one("[1]", "[4,8]")),
      "tensor \"a\" has data_offsets [4, 8], which do not begin at 0, where they should"),
    BadFile(
      file(one("[2]", "[8,0]")),
      "tensor \"a\" has data_offsets [8, 0], which do not begin at 0, where they should"),
    BadFile(
      file(one("[2]", "[9223372036854775807,0]")),
      "tensor \"a\" has data_offsets [9223372036854775807, 0], which do not begin at 0, where they "
        + "should"),
    BadFile(
      file(one("[3]", "[0,12]")),
      "tensor \"a\" has data_offsets [0, 12], but only 8 bytes of data are there"),
    BadFile(
      file(one("[2]", "[0,9223372036854775807]")),
      "tensor \"a\" has data_offsets [0, 9223372036854775807], but only 8 bytes of data are there"),
    BadFile(
      file(one(), data: 7),
      "tensor \"a\" has data_offsets [0, 8], but only 7 bytes of data are there"
    ),
    BadFile(file(one("[1]", "[0,4]")), "has 8 bytes of data, of which tensors fill only 4"),
    BadFile(file(one("[0]", "[0,0]")), "has 8 bytes of data, of which tensors fill only 0"),
    BadFile(file("{}"), "has 8 bytes of data, of which tensors fill only 0"),
    BadFile(file(one(), data: 9), "has 9 bytes of data, of which tensors fill only 8"),
    BadFile(
      file(two("[0,8]", "[4,12]"), data: 16),
      "tensor \"b\" has data_offsets [4, 12], which do not begin at 8, where they should"),
    BadFile(
      file(two("[8,16]", "[4,12]"), data: 16),
      "tensor \"b\" has data_offsets [4, 12], which do not begin at 0, where they should"),
    BadFile(
      file(two("[0,8]", "[12,20]"), data: 20),
      "tensor \"b\" has data_offsets [12, 20], which do not begin at 8, where they should"),
    BadFile(
      file(two("[0,8]", "[8,16]"), data: 12),
      "tensor \"b\" has data_offsets [8, 16], but only 12 bytes of data are there"),
    BadFile(
      file(two("[0,8]", "[8,12]"), data: 12),
      "tensor \"b\" has 4 bytes, which is not a shape of [2]"),
    BadFile(
      file("{\"__metadata__\":{\"fnv1a_checksums\":\"0 0\"}," + one().dropFirst()),
      "has 2 checksums of 1 tensors"),
    BadFile(
      file("{\"__metadata__\":{\"fnv1a_checksums\":\"\"}," + one().dropFirst()),
      "has 0 checksums of 1 tensors"),
    BadFile(
      file("{\"__metadata__\":{\"fnv1a_checksums\":\"0\"}," + one().dropFirst()),
      "tensor \"a\" is damaged: its bytes are not those that its checksum is of"),
  ]

  @Test(
    "Bad weights are refused",
    arguments: sizes + lengths + headers + shapes + types + unfit + crowds + offsets)
  func bad(file: BadFile) { file.check(SafeTensors.init(decoding:file:)) }
}

import Testing

@testable import Formats

@Suite struct BadNPYTests {
  private static func file(
    _ header: String, data: Int = 8, version: [UInt8] = [1, 0], length: Int? = nil
  ) -> [UInt8] {
    let length = length ?? header.utf8.count
    let size = (0..<(version[0] == 1 ? 2 : 4)).map { UInt8(length >> (8 * $0) & 0xFF) }
    return [0x93] + Array("NUMPY".utf8) + version + size + Array(header.utf8)
      + [UInt8](repeating: 7, count: data)
  }

  /// In version 1.0 the value of `descr` begins at byte 20, that of `fortran_order` at 44, the shape at
  /// 60, if those before it are as here.
  private static func header(
    _ type: String = "'<f4'", order: String = "False", shape: String = "(2,)"
  ) -> String {
    "{'descr': \(type), 'fortran_order': \(order), 'shape': \(shape)}"
  }

  static let types: [BadFile] = [
    ">f4", "=f4", "<F4", "f4", "<f2", "<f16", "<i4", "<u1", "|i1", "|b1", "<c8", "|S5", "<U3",
    "<M8[D]", "|V4", "|O", "O", "float32", " <f4", "",
  ].map {
    BadFile(
      file(header("'\($0)'")), "holds elements of type \"\($0)\"; <f4, <f8 and |u1 are read")
  }

  static let orders: [BadFile] = ["True", "None", "false", "FALSE", "no", ""].map {
    BadFile(
      file(header(order: $0)), "has fortran_order \"\($0)\"; only C order, False, is read")
  }

  /// Shapes for eight bytes of data, and the sizes that they are read as.
  static let shapes: [BadFile] = [
    ("()", "[]"), ("(1,)", "[1]"), ("(3,)", "[3]"), ("(0,)", "[0]"), ("(2, 2)", "[2, 2]"),
    ("(2, 0)", "[2, 0]"), ("(1, 1, 1)", "[1, 1, 1]"), ("(8,)", "[8]"),
    ("(1000000000000000000,)", "[1000000000000000000]"),
    ("(9223372036854775807,)", "[9223372036854775807]"),
    ("(4611686018427387904, 4)", "[4611686018427387904, 4]"),
    ("(4294967296, 4294967296)", "[4294967296, 4294967296]"),
    ("(4611686018427387905, 2)", "[4611686018427387905, 2]"),
  ].map { shape, sizes in
    BadFile(
      file(header(shape: shape)),
      "has 8 bytes of data, which is not \(sizes) elements of 4 bytes")
  }

  static let lengths: [BadFile] = [
    BadFile(file(header(), data: 0), "has 0 bytes of data, which is not [2] elements of 4 bytes"),
    BadFile(file(header(), data: 7), "has 7 bytes of data, which is not [2] elements of 4 bytes"),
    BadFile(file(header(), data: 9), "has 9 bytes of data, which is not [2] elements of 4 bytes"),
    BadFile(
      file(header("'<f8'"), data: 8), "has 8 bytes of data, which is not [2] elements of 8 bytes"),
    BadFile(
      file(header("'|u1'"), data: 8), "has 8 bytes of data, which is not [2] elements of 1 bytes"),
    BadFile(
      file(header("'|u1'"), data: 1), "has 1 bytes of data, which is not [2] elements of 1 bytes"),
  ]

  /// What follows the shape's key, the byte where it is wrong, and what is wanted and found there.
  static let numbers: [BadFile] = [
    ("(-1,)", 61, "a whole number below 2^63", "-"),
    ("(+1,)", 61, "a whole number below 2^63", "+"),
    ("(a,)", 61, "a whole number below 2^63", "a"), ("(,)", 61, "a whole number below 2^63", ","),
    ("( ,)", 62, "a whole number below 2^63", ","), ("(01,)", 61, "a whole number below 2^63", "0"),
    ("((1,),)", 61, "a whole number below 2^63", "("),
    ("(9223372036854775808,)", 61, "a whole number below 2^63", "9"),
    ("(99999999999999999999,)", 61, "a whole number below 2^63", "9"),
    ("(None,)", 61, "a whole number below 2^63", "N"),
    ("('1',)", 61, "a whole number below 2^63", "'"),
    ("(1,,)", 63, "a whole number below 2^63", ","), ("(1, ", 64, "a whole number below 2^63", "}"),
    ("(1.5,)", 62, "\",\" or \")\"", "."), ("(1e3,)", 62, "\",\" or \")\"", "e"),
    ("(0x10,)", 62, "\",\" or \")\"", "x"), ("(1L,)", 62, "\",\" or \")\"", "L"),
    ("(1_0,)", 62, "\",\" or \")\"", "_"), ("(1 2)", 63, "\",\" or \")\"", "2"),
    ("(1", 62, "\",\" or \")\"", "}"), ("[2]", 60, "\"(\"", "["), ("2", 60, "\"(\"", "2"),
    ("None", 60, "\"(\"", "N"), ("", 60, "\"(\"", "}"), ("(2,) (2,)", 65, "\",\" or \"}\"", "("),
  ].map { shape, byte, wanted, found in
    BadFile(
      file(header(shape: shape)), "header at byte \(byte): \(wanted) expected, \"\(found)\" found")
  }

  private static let incomplete = "'descr', 'fortran_order' and 'shape' expected, not all found"

  static let headers: [BadFile] = [
    BadFile(file(""), "header at byte 10: \"{\" expected, the end found"),
    BadFile(file("[]"), "header at byte 10: \"{\" expected, \"[\" found"),
    BadFile(file("nonsense"), "header at byte 10: \"{\" expected, \"n\" found"),
    BadFile(file("\0\0\0"), "header at byte 10: \"{\" expected, \"\\0\" found"),
    BadFile(file("{"), "header at byte 11: a string expected, the end found"),
    BadFile(file("{descr: 1}"), "header at byte 11: a string expected, \"d\" found"),
    BadFile(file("{1: 2}"), "header at byte 11: a string expected, \"1\" found"),
    BadFile(file("{,}"), "header at byte 11: a string expected, \",\" found"),
    BadFile(file("{{}}"), "header at byte 11: a string expected, \"{\" found"),
    BadFile(file("{}"), "header at byte 12: \(incomplete)"),
    BadFile(file("{'descr': '<f4'}"), "header at byte 26: \(incomplete)"),
    BadFile(file("{'shape': (2,)}"), "header at byte 25: \(incomplete)"),
    BadFile(file("{'descr' '<f4'}"), "header at byte 19: \":\" expected, \"'\" found"),
    BadFile(file("{'descr': 4}"), "header at byte 20: a string expected, \"4\" found"),
    BadFile(file("{'descr': [('a', '<f4')]}"), "header at byte 20: a string expected, \"[\" found"),
    BadFile(
      file("{'descr': '<f4"),
      "header at byte 24: the end of a string without escapes expected, the end found"),
    BadFile(
      file("{'descr': '\\x3cf4'}"),
      "header at byte 22: the end of a string without escapes expected, \"x\" found"),
    BadFile(file("{'descr': '<f4'"), "header at byte 25: \",\" or \"}\" expected, the end found"),
    BadFile(
      file("{'descr': '<f4', 'descr': '<f4'}"),
      "header at byte 35: unknown or repeated key \"descr\""),
    BadFile(file("{'more': 1}"), "header at byte 18: unknown or repeated key \"more\""),
    BadFile(file("{'': 1}"), "header at byte 14: unknown or repeated key \"\""),
    BadFile(file("{'Shape': (2,)}"), "header at byte 19: unknown or repeated key \"Shape\""),
    BadFile(file(header(order: "0")), "header at byte 44: \",\" or \"}\" expected, \"0\" found"),
    BadFile(file(header() + " 1"), "header at byte 66: the end expected, \"1\" found"),
    BadFile(file(header() + "\0"), "header at byte 65: the end expected, \"\\0\" found"),
    BadFile(
      file(header(shape: "(" + String(repeating: "1,", count: 65) + ")")),
      "header at byte 189: more than 64 numbers in a list"),
    BadFile(
      file(header(shape: String(repeating: "(", count: 5000))),
      "header at byte 61: a whole number below 2^63 expected, \"(\" found"),
  ]

  static let beginnings: [BadFile] = [
    BadFile(
      file(header(), version: [0, 0]), "is NPY version 0.0; only 1.0, 2.0 and 3.0 are read"),
    BadFile(
      file(header(), version: [4, 0]), "is NPY version 4.0; only 1.0, 2.0 and 3.0 are read"),
    BadFile(
      file(header(), version: [255, 0]), "is NPY version 255.0; only 1.0, 2.0 and 3.0 are read"),
    BadFile(
      file(header(), version: [1, 1]), "is NPY version 1.1; only 1.0, 2.0 and 3.0 are read"),
    BadFile(
      file(header(), version: [3, 9]), "is NPY version 3.9; only 1.0, 2.0 and 3.0 are read"),
    BadFile(
      file("{}", length: 65535),
      "is an NPY file cut short: a header of 65535 bytes expected, 10 found"),
    BadFile(
      file("{}", data: 0, length: 3),
      "is an NPY file cut short: a header of 3 bytes expected, 2 found"
    ),
    BadFile(
      file("{}", version: [2, 0], length: Int(UInt32.max)),
      "is an NPY file cut short: a header of 4294967295 bytes expected, 10 found"),
    BadFile(
      file(header() + String(repeating: " ", count: 10_001 - header().utf8.count)),
      "has a header of 10001 bytes; at most 10000 are read"),
    BadFile(
      file(String(repeating: " ", count: 70_000), version: [2, 0]),
      "has a header of 70000 bytes; at most 10000 are read"),
    BadFile("\u{93}NUMPY", "is not an NPY file: it does not begin with \\x93NUMPY"),
    BadFile(Array("PK\u{3}\u{4}".utf8), "is not an NPY file: it does not begin with \\x93NUMPY"),
    BadFile("", "is not an NPY file: it does not begin with \\x93NUMPY"),
    BadFile("1,2,3\n", "is not an NPY file: it does not begin with \\x93NUMPY"),
  ]

  /// Each byte of the magic string, damaged.
  static let magic: [BadFile] = (0..<6).map { place in
    var bytes = file(header())
    bytes[place] ^= 0x20
    return BadFile(bytes, "is not an NPY file: it does not begin with \\x93NUMPY")
  }

  @Test(
    "Bad arrays are refused",
    arguments: types + orders + shapes + lengths + numbers + headers + beginnings + magic)
  func bad(file: BadFile) { file.check { try NPY.decode($0, file: $1) } }
}

import Testing

@testable import Formats

@Suite struct NPYTests {
  private func decode(_ bytes: [UInt8]) throws -> Tensor { try NPY.decode(bytes, file: "f").tensor }

  private func file(_ header: String, version: UInt8 = 1, data: [UInt8] = []) -> [UInt8] {
    let count = header.utf8.count
    let length = [UInt8(count & 0xFF), UInt8(count >> 8)] + (version == 1 ? [] : [0, 0])
    return [0x93] + Array("NUMPY".utf8) + [version, 0] + length + Array(header.utf8) + data
  }

  private func header(_ type: String = "<f4", order: String = "False", shape: String) -> String {
    "{'descr': '\(type)', 'fortran_order': \(order), 'shape': \(shape), }\n"
  }

  private static let tensor = Tensor(shape: [2, 3], elements: [0, 1, -2, 0.5, 3e8, .infinity])

  // import io, numpy
  // f = io.BytesIO()
  // numpy.save(f, numpy.array([[0, 1, -2], [0.5, 3e8, numpy.inf]], "<f4"))
  // print(f.getvalue())
  private static let golden: [UInt8] =
    [0x93] + Array("NUMPY".utf8) + [1, 0, 118, 0]
    + Array("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }".utf8)
    + [UInt8](repeating: 0x20, count: 58) + [0x0A]
    + [0, 0, 0, 0, 0, 0, 0x80, 0x3F, 0, 0, 0, 0xC0]
    + [0, 0, 0, 0x3F, 0x18, 0x0D, 0x8F, 0x4D, 0, 0, 0x80, 0x7F]

  @Test func writesWhatNumPyWrites() throws {
    #expect(NPY.encode(Self.tensor) == Self.golden)
    #expect(try decode(Self.golden) == Self.tensor)
  }

  @Test(arguments: [[], [1], [3], [0, 3], [2, 1, 2], [Int](repeating: 1, count: 64)])
  func whatIsEncodedIsDecoded(shape: [Int]) throws {
    let count = shape.reduce(1, *)
    let tensor = Tensor(shape: shape, elements: (0..<count).map { Float($0) + 0.25 })
    let bytes = NPY.encode(tensor)
    #expect(try decode(bytes) == tensor)
    #expect((bytes.count - 4 * count).isMultiple(of: 64))
  }

  @Test func writesOneDimensionAsATuple() {
    let bytes = NPY.encode(Tensor(shape: [2], elements: [1, 2]))
    #expect(String(decoding: bytes[10..<128], as: UTF8.self).contains("'shape': (2,), }"))
  }

  @Test(arguments: [1, 2, 3] as [UInt8]) func readsAllVersions(version: UInt8) throws {
    let bytes = file(header(shape: "(1,)"), version: version, data: [0, 0, 0x80, 0x3F])
    #expect(try decode(bytes) == Tensor(shape: [1], elements: [1]))
  }

  @Test func readsDoublesAndBytes() throws {
    let half: [UInt8] = [0, 0, 0, 0, 0, 0, 0xE0, 0x3F]
    let doubles = file(header("<f8", shape: "(1, 2)"), data: half + half)
    #expect(try decode(doubles) == Tensor(shape: [1, 2], elements: [0.5, 0.5]))
    let bytes = file(header("|u1", shape: "(3,)"), data: [0, 1, 255])
    #expect(try decode(bytes) == Tensor(shape: [3], elements: [0, 1, 255]))
  }

  @Test func keysMayStandInAnyOrderAndSpacing() throws {
    let text = "{\"shape\":(),'fortran_order':False ,\n'descr' : '<f4'}   \n"
    #expect(try decode(file(text, data: [0, 0, 0, 0])) == Tensor(shape: [], elements: [0]))
  }

  @Test func refusesWhatIsNotNPY() {
    #expect(problem { try decode([]) }.contains("is not an NPY file"))
    #expect(problem { try decode(Array("PK".utf8)) }.contains("is not an NPY file"))
    for version in [0, 4, 255] as [UInt8] {
      let bytes = file(header(shape: "(0,)"), version: version)
      #expect(
        problem { try decode(bytes) }
          == "f: is NPY version \(version).0; only 1.0, 2.0 and 3.0 are read")
    }
  }

  @Test(arguments: 0..<152) func refusesEveryTruncation(length: Int) {
    let message = problem { try decode(Array(Self.golden.prefix(length))) }
    #expect(
      message.contains(
        length < 6 ? "not an NPY" : length < 128 ? "cut short" : "which is not [2, 3] elements"))
  }

  @Test func refusesOtherTypes() {
    for type in [">f4", "<f2", "<i4", "|b1", "|O", ""] {
      #expect(
        problem { try decode(file(header(type, shape: "(1,)"), data: [0, 0, 0, 0])) }
          == "f: holds elements of type \"\(type)\"; <f4, <f8 and |u1 are read")
    }
    let structure = "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }"
    #expect(problem { try decode(file(structure)) }.contains("a string expected, \"[\" found"))
  }

  @Test func refusesFortranOrder() {
    for order in ["True", "None", ""] {
      #expect(
        problem { try decode(file(header(order: order, shape: "(1,)"), data: [0, 0, 0, 0])) }
          == "f: has fortran_order \"\(order)\"; only C order, False, is read")
    }
  }

  @Test func refusesShapesThatDoNotFit() {
    for shape in [
      "(2,)", "()", "(0,)", "(2, 2)", "(9223372036854775807, 4)", "(4611686018427387904, 4)",
    ] {
      let bytes = file(header(shape: shape), data: [1, 2, 3, 4, 5])
      #expect(problem { try decode(bytes) }.contains("has 5 bytes of data, which is not ["))
    }
    for shape in [
      "(-1,)", "(1.5,)", "(1e3,)", "(99999999999999999999,)", "(1 2)", "[1]", "1", "(,)",
    ] {
      let bytes = file(header(shape: shape), data: [1, 2, 3, 4])
      #expect(problem { try decode(bytes) }.contains(" expected, "))
    }
  }

  @Test func refusesBrokenHeaders() {
    for text in [
      "", "{", "{}", "nonsense", "{'descr': '<f4'}", "{'descr': '<f4", "{'descr': '<f4'",
      "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (1,)}",
      "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), 'more': 1}",
      "{'descr': '<f4', 'fortran_order': False, 'shape': (1,)} 1",
      "{'descr': '\\x3cf4', 'fortran_order': False, 'shape': (1,)}",
    ] {
      #expect(
        problem { try decode(file(text, data: [0, 0, 0, 0])) }.hasPrefix("f: header at byte"))
    }
  }

  @Test("Data that shrink while they are read are refused") func shrinks() {
    let file = file(header("|u1", shape: "(3,)"), data: [0, 1, 255])
    let found = problem {
      try NPY.decode(
        size: file.count, { Array(file[$0].dropLast($0.lowerBound > 0 ? 1 : 0)) }, file: "f",
        check: { _, _ in })
    }
    #expect(found == "f: has shrunk while it was read")
  }

  @Test func survivesDamage() {
    fuzz(Self.golden, times: 6000, seed: 6, decode: decode)
    fuzz(
      file(header("|u1", shape: "(3,)"), data: [0, 1, 255]), times: 6000, seed: 7, decode: decode)
  }
}

import Testing

@testable import Formats

@Suite struct SafeTensorsTests {
  private func decode(_ bytes: [UInt8]) throws -> SafeTensors {
    try SafeTensors(decoding: bytes, file: "f")
  }

  /// A file with this header and so many bytes of zeros.
  private static func file(_ header: String, data: Int = 0) -> [UInt8] {
    withUnsafeBytes(of: UInt64(header.utf8.count).littleEndian, Array.init) + Array(header.utf8)
      + [UInt8](repeating: 0, count: data)
  }

  /// Why a file is refused with one tensor "a" and eight bytes of data.
  private func refusal(_ shape: String, _ offsets: String, type: String = "F32") -> String {
    let entry = #"{"dtype":"\#(type)","shape":\#(shape),"data_offsets":\#(offsets)}"#
    return problem { try decode(Self.file(#"{"a":\#(entry)}"#, data: 8)) }
  }

  private static let content = SafeTensors(
    metadata: ["note": "say \"é\"\n"],
    tensors: [
      "b": Tensor(shape: [2, 2], elements: [1, 2, 3, 4]),
      "a": Tensor(shape: [], elements: [-0.5]),
      "e": Tensor(shape: [0, 7], elements: []),
    ])

  // import numpy, safetensors.numpy
  // print(safetensors.numpy.save(
  //   {"b": numpy.array([[1, 2], [3, 4]], "<f4"), "a": numpy.array(-0.5, "<f4"),
  //    "e": numpy.zeros((0, 7), "<f4")}, metadata={"note": 'say "é"\n'}))
  private static let golden =
    [0xD0, 0, 0, 0, 0, 0, 0, 0]
    + Array(
      (#"{"__metadata__":{"note":"say \"é\"\n"},"#
        + #""a":{"dtype":"F32","shape":[],"data_offsets":[0,4]},"#
        + #""b":{"dtype":"F32","shape":[2,2],"data_offsets":[4,20]},"#
        + #""e":{"dtype":"F32","shape":[0,7],"data_offsets":[20,20]}}   "#).utf8)
    + [0, 0, 0, 0xBF, 0, 0, 0x80, 0x3F, 0, 0, 0, 0x40, 0, 0, 0x40, 0x40, 0, 0, 0x80, 0x40]

  @Test func writesWhatTheReferenceWrites() throws {
    #expect(Self.content.encoded() == Self.golden)
    #expect(try decode(Self.golden) == Self.content)
  }

  @Test func whatIsEncodedIsDecoded() throws {
    let characters = (0..<0x180).compactMap { Unicode.Scalar($0).map(String.init) }
    let text = characters.joined() + "\"\\/\u{2028}\u{FFFF}😀"
    for content in [
      SafeTensors(), SafeTensors(metadata: [text: text, "": "", "a": "b"]),
      SafeTensors(tensors: [text: Tensor(shape: [1], elements: [7])]),
      SafeTensors(
        metadata: ["k": "v"],
        tensors: ["": Tensor(shape: [3, 100], elements: (0..<300).map(Float.init))]),
    ] {
      let bytes = content.encoded()
      #expect(try decode(bytes) == content)
      #expect(
        (bytes.count - content.tensors.values.reduce(0) { $0 + 4 * $1.elements.count }) % 8 == 0)
    }
  }

  @Test func everyBitOfAFloatSurvives() throws {
    let patterns =
      [0, 1, 0x8000_0000, 0x7F80_0000, 0x7FC0_0001, 0xFF80_0000, 0x7F7F_FFFF] as [UInt32]
    let tensor = Tensor(shape: [7], elements: patterns.map(Float.init(bitPattern:)))
    let decoded = try decode(SafeTensors(tensors: ["a": tensor]).encoded())
    #expect(decoded.tensors["a"]?.elements.map(\.bitPattern) == patterns)
  }

  @Test func theOrderOfInsertionLeavesNoTrace() {
    let names = (0..<50).map { "layer.\($0)" }
    func content(_ names: [String]) -> [UInt8] {
      var content = SafeTensors()
      for name in names {
        content.metadata[name] = "x"
        content.tensors[name] = Tensor(shape: [1], elements: [Float(name.utf8.count)])
      }
      return content.encoded()
    }
    #expect(content(names) == content(names.reversed()))
  }

  @Test func readsTheFileAtAPath() throws {
    try withFolder { folder in
      try File.writeAtomically(Self.golden, to: folder + "/x.safetensors")
      #expect(try SafeTensors.read(folder + "/x.safetensors") == Self.content)
    }
    #expect(problem { try SafeTensors.read("/nonexistent") }.contains("No such file"))
  }

  @Test func aFileKnowsWhetherItWasDamaged() throws {
    try withFolder { folder in
      let path = folder + "/x.safetensors"
      try Self.content.write(to: path)
      #expect(try SafeTensors.read(path) == Self.content)
      let bytes = try File.read(path)
      let numbers = Self.content.tensors.values.reduce(0) { $0 + $1.elements.count }
      for place in bytes.count - 4 * numbers..<bytes.count {
        var damaged = bytes
        damaged[place] ^= 1
        #expect(
          problem { try SafeTensors(decoding: damaged, file: "x") }.contains("is damaged"),
          "byte \(place)")
      }
      let few = SafeTensors(metadata: ["fnv1a_checksums": "0"], tensors: Self.content.tensors)
      #expect(problem { try decode(few.encoded()) } == "f: has 1 checksums of 3 tensors")
    }
    #expect(problem { try Self.content.write(to: "/nonexistent/x") }.contains("No such file"))
  }

  @Test func readsJSONInAnyStyle() throws {
    // Tensors out of order, spaces, all escapes, and a pair of surrogates.
    let header = """
      { "b\\u00e9\\"\\\\\\/\\b\\f\\n\\r\\t\\ud83d\\uDE00" :
        {"shape": [ 1 ], "data_offsets":[4,8], "dtype":"F32"},
        "a" : {"dtype" : "F32", "shape":[1,1], "data_offsets" : [ 0 , 4 ]}, "__metadata__": {} }
      """
    let decoded = try decode(Self.file(header, data: 8))
    #expect(decoded.tensors.keys.sorted() == ["a", "bé\"\\/\u{8}\u{C}\n\r\t😀"])
    #expect(try decode(Self.file("{}")) == SafeTensors())
  }

  @Test(arguments: 0..<236) func refusesEveryTruncation(length: Int) {
    let message = problem { try decode(Array(Self.golden.prefix(length))) }
    #expect(
      length < 8
        ? message == "f: is not a safetensors file: at least 8 bytes expected, \(length) found"
        : length < 216 ? message.contains("or cut short") : message.contains("data_offsets"))
  }

  @Test func refusesAHeaderLongerThanTheFileOrTheLimit() {
    for length: [UInt8] in [
      [3, 0, 0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0, 0, 0x80], .init(repeating: 255, count: 8),
    ] {
      #expect(problem { try decode(length + [0x7B, 0x7D]) }.contains("or cut short: a header of"))
    }

    // 2 MiB, and one byte more: 0x200000 and 0x200001.
    var large = [UInt8](repeating: 0x20, count: 8 + 2_097_152)
    large.replaceSubrange(0..<10, with: [0x00, 0x00, 0x20, 0, 0, 0, 0, 0, 0x7B, 0x7D])
    #expect(problem { try decode(large) } == "")
    large[0] = 0x01
    large.append(0x20)
    #expect(problem { try decode(large) }.contains("a header of 2097153 bytes expected"))
  }

  @Test(arguments: [
    "", " {}", "[]", "null", "{", "{}}", "{,}", "{\"a\"}", "{\"a\":}", "{\"a\":1}", "{\"a\":{}}",
    "{'a':{}}", "{\"a", "{\"\\", "{\"\\u12", "{\"\\x\":1}", "{\"\\ud800\":1}", "{\"\\udc00\":1}",
    "{\"\\ud800\\u0041\":1}", "{\"\u{1}\":1}", "{\"__metadata__\":{\"a\":1}}",
    "{\"__metadata__\":[]}", "{\"__metadata__\":{},}", "{\"__metadata__\":null}",
    "{\"a\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0],\"more\":1}}",
    "{\"a\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0,0]}}",
    "{\"a\":{\"dtype\":\"F32\",\"shape\":[0,],\"data_offsets\":[0,0]}}",
    "{\"a\":{\"dtype\":\"F32\",\"shape\":[0]}}",
  ]) func refusesBrokenHeaders(header: String) {
    #expect(problem { try decode(Self.file(header)) }.hasPrefix("f: header at byte"))
  }

  @Test func refusesTextThatIsNotUTF8() {
    var bytes = Self.file("{\"__metadata__\":{\"ab\":\"c\"}}")
    bytes[26] = 0xFF
    #expect(problem { try decode(bytes) }.hasSuffix("the string before is not UTF-8"))
  }

  @Test func refusesDeepNestingWithoutRecursion() {
    let deep = "{\"a\":" + String(repeating: "[", count: 1_000_000)
    #expect(
      problem { try decode(Self.file(deep)) } == "f: header at byte 13: \"{\" expected, \"[\" found"
    )
  }

  @Test func refusesRepeatedNames() {
    let entry = #"{"dtype":"F32","shape":[0],"data_offsets":[0,0]}"#
    #expect(
      problem { try decode(Self.file("{\"a\":\(entry),\"a\":\(entry)}")) }
        .hasSuffix("the name \"a\" appears twice"))
    #expect(
      problem { try decode(Self.file(#"{"__metadata__":{"k":"1","k":"2"}}"#)) }
        .hasSuffix("the key \"k\" of __metadata__ appears twice"))
    #expect(
      problem { try decode(Self.file(#"{"__metadata__":{},"__metadata__":{}}"#)) }
        .hasSuffix("the name \"__metadata__\" appears twice"))
    #expect(
      problem { try decode(Self.file(#"{"a":{"dtype":"F32","dtype":"F32"}}"#)) }
        .hasSuffix("tensor \"a\" has the unknown or repeated \"dtype\""))
  }

  @Test(arguments: ["F16", "BF16", "F64", "I64", "f32", ""]) func refusesOtherTypes(type: String) {
    #expect(
      refusal("[2]", "[0,8]", type: type)
        == "f: tensor \"a\" is of dtype \"\(type)\"; only F32 is read")
  }

  @Test func refusesOffsetsThatDoNotTileTheData() {
    #expect(refusal("[2]", "[0,8]") == "")
    #expect(refusal("[1]", "[4,8]").contains("do not begin at 0"))
    #expect(refusal("[1]", "[0,4]") == "f: has 8 bytes of data, of which tensors fill only 4")
    #expect(refusal("[2]", "[8,0]").contains("do not begin at 0"))
    #expect(refusal("[3]", "[0,12]").contains("but only 8 bytes of data are there"))
    #expect(refusal("[2]", "[0,9223372036854775807]").contains("but only 8 bytes"))

    func two(_ first: String, _ second: String) -> String {
      let entry = #""dtype":"F32","shape":[2],"data_offsets":"#
      return problem {
        try decode(Self.file("{\"a\":{\(entry)\(first)},\"b\":{\(entry)\(second)}}", data: 20))
      }
    }
    #expect(
      two("[0,8]", "[4,12]").contains("\"b\" has data_offsets [4, 12], which do not begin at 8"))
    #expect(two("[0,8]", "[0,8]").contains("[0, 8], which do not begin at 8"))
    #expect(two("[0,8]", "[12,20]").contains("\"b\" has data_offsets [12, 20], which do not begin"))
  }

  @Test func refusesShapesThatDoNotFit() {
    for shape in [
      "[]", "[1]", "[3]", "[0]", "[1,3]", "[4611686018427387904,4]", "[4294967296,4294967296]",
    ] {
      #expect(refusal(shape, "[0,8]").contains("has 8 bytes, which is not a shape of ["))
    }
    let numbers = [
      "-2", "2.0", "2e0", "02", "+2", "99999999999999999999", "true", "\"2\"", "[2]", "",
    ]
    for number in numbers {
      #expect(refusal("[1,\(number)]", "[0,8]").contains(" expected, "))
      #expect(refusal("[2]", "[0,\(number)]").contains(" expected, "))
    }
  }

  @Test("A file that shrinks while it is read is refused") func shrinks() {
    for kept in 0..<Self.golden.count {
      let found = problem {
        try SafeTensors(
          size: Self.golden.count, { Array(Self.golden[$0].prefix(max(0, kept - $0.lowerBound))) },
          file: "f")
      }
      #expect(found == "f: has shrunk while it was read")
    }
  }

  @Test func survivesDamage() {
    fuzz(Self.golden, times: 20_000, seed: 8, decode: decode)
  }
}

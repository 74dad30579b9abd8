import Testing

@testable import Formats

@Suite struct PickleTests {
  // python3 -c 'import pickle; print([list(pickle.dumps({"a": 1}, p)) for p in range(2, 6)])'
  private static let pickles: [[UInt8]] = [
    [128, 2, 125, 113, 0, 88, 1, 0, 0, 0, 97, 113, 1, 75, 1, 115, 46],
    [128, 3, 125, 113, 0, 88, 1, 0, 0, 0, 97, 113, 1, 75, 1, 115, 46],
    [128, 4, 149, 10, 0, 0, 0, 0, 0, 0, 0, 125, 148, 140, 1, 97, 148, 75, 1, 115, 46],
    [128, 5, 149, 10, 0, 0, 0, 0, 0, 0, 0, 125, 148, 140, 1, 97, 148, 75, 1, 115, 46],
  ]

  /// What `torch.save` has written until PyTorch 1.5: the pickle of a number first.
  private static let old: [UInt8] = [
    128, 2, 138, 10, 108, 252, 156, 70, 249, 32, 106, 168, 80, 25, 46,
  ]

  /// What it writes since: a zip archive, of which this is the first file's header.
  private static func archive(_ name: String) -> [UInt8] {
    [0x50, 0x4B, 3, 4] + [UInt8](repeating: 0, count: 22) + [UInt8(name.utf8.count), 0, 0, 0]
      + Array(name.utf8) + [128, 2, 125, 46]
  }

  @Test(
    "What is a pickle is told by its bytes, and how to convert it is said",
    arguments: pickles + [old, archive("archive/data.pkl"), archive("model/data.pkl")])
  func refused(bytes: [UInt8]) {
    let sentence =
      "m.pt: is a pickle of Python, which is never read, since it may run any program; in Python, "
      + "from safetensors.torch import save_file; save_file(torch.load(\"m.pt\", "
      + "weights_only=True), \"converted.safetensors\") makes safetensors of it"
    #expect(problem { try SafeTensors(decoding: bytes, file: "m.pt") } == sentence)
    #expect(problem { try NPY.decode(bytes, file: "m.pt") } == sentence)
    #expect(problem { try PNG.decode(bytes, file: "m.pt") } == sentence)
  }

  @Test("Other archives are not taken for one, nor is a header whose length begins like one")
  func others() throws {
    #expect(problem { try NPY.decode(Self.archive("a.npy"), file: "f") }.contains("is not an NPY"))
    // 0x280 = 640 bytes: an array of notes as long as that.
    let note = String(repeating: "n", count: 640 - #"{"__metadata__":{"a":""}}"#.utf8.count)
    let file = SafeTensors(metadata: ["a": note]).encoded()
    #expect(Array(file.prefix(3)) == [128, 2, 0])
    #expect(try SafeTensors(decoding: file, file: "f").metadata == ["a": note])
  }
}

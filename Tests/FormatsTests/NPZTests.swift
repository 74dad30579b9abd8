import Foundation
import Testing

@testable import Formats

@Suite struct NPZTests {
  private static let tensor = Tensor(shape: [2, 3], elements: [0, 1, -2, 0.5, 3e8, .infinity])

  private func decode(
    _ bytes: [UInt8], _ names: String..., limit: Int = 1 << 20
  ) throws -> (tensor: Tensor, type: NPY.ElementType) {
    let (file, content) = try NPZ.array(names, of: bytes, file: "f", limit: limit)
    return try NPY.decode(content, file: file)
  }

  // import base64, io, numpy
  // f = io.BytesIO()
  // numpy.savez_compressed(
  //   f, images=numpy.array([[0, 1, -2], [0.5, 3e8, numpy.inf]], "<f4"), other=numpy.arange(5, dtype="u1"))
  // print(base64.b64encode(f.getvalue()))
  private static let golden = Array(
    Data(
      base64Encoded: """
        UEsDBC0AAAAIAAAAIQBZ82ff//////////8KABQAaW1hZ2VzLm5weQEAEACYAAAAAAAAAFcAAAAAAAAAm+wX6hsQ
        ychQxlCtnpJanFykbqWgbpNmoq6joJ6WX1RSlJgXn1+UkgoSd0vMKU4FihdnJBakAvkaRjoKxpo6CrUKZAMuBjBo
        sAcSB4DYXoK33xfIrwcAUEsDBC0AAAAIAAAAIQDSQj9H//////////8JABQAb3RoZXIubnB5AQAQAIUAAAAAAAAA
        SQAAAAAAAACb7BfqGxDJyFDGUK2eklqcXKRupaBeU2qorqOgnpZfVFKUmBefX5SSChJ3S8wpTgWKF2ckFqQC+Rqm
        Opo6CrUKFAAuBkYmZhYAUEsBAi0DLQAAAAgAAAAhAFnzZ99XAAAAmAAAAAoAAAAAAAAAAAAAAIABAAAAAGltYWdl
        cy5ucHlQSwECLQMtAAAACAAAACEA0kI/R0kAAACFAAAACQAAAAAAAAAAAAAAgAGTAAAAb3RoZXIubnB5UEsFBgAA
        AAACAAIAbwAAABcBAAAAAA==
        """, options: .ignoreUnknownCharacters) ?? Data())

  @Test func readsWhatNumPyWrites() throws {
    #expect(try decode(Self.golden, "images") == (Self.tensor, .float32))
    let other = try decode(Self.golden, "arr_0", "other")
    #expect(other == (Tensor(shape: [5], elements: [0, 1, 2, 3, 4]), .uint8))
  }

  @Test func whatIsEncodedIsDecodedUnderAnyName() throws {
    let bytes = try NPZ.encode(Self.tensor, name: "images")
    #expect(try NPZ.encode(Self.tensor, name: "images") == bytes)
    #expect(try decode(bytes, "images") == (Self.tensor, .float32))
    #expect(try decode(bytes, "z") == (Self.tensor, .float32))
    let nothing = Tensor(shape: [0], elements: [])
    #expect(try decode(NPZ.encode(nothing, name: "ä"), "ä").tensor == nothing)
  }

  @Test func refusesWhatItCannotTellApart() {
    #expect(
      problem { try decode(Self.golden, "z") }
        == #"f: has 2 arrays, among them "images", "other": one must be named z"#)
    for text in ["", "hello", "PK", "PK\u{3}\u{4}"] {
      #expect(problem { try decode(Array(text.utf8), "z") }.hasPrefix("f: is not an NPZ file"))
    }
    let nothing = [0x50, 0x4B, 5, 6] + [UInt8](repeating: 0, count: 18)
    #expect(problem { try decode(nothing, "z") }.contains("is a zip archive without arrays"))
  }

  @Test func refusesSizesBeforeItAsksForMemory() throws {
    let bytes = try NPZ.encode(Self.tensor, name: "images")
    #expect(
      problem { try decode(bytes, "images", limit: 151) }
        == #"f, "images.npy": has 152 bytes; at most 151 are read"#)
    // The central directory's size of the content, 24 bytes after its signature.
    let directory = try #require(place(of: [0x50, 0x4B, 1, 2], in: bytes))
    func promising(_ size: UInt32) -> [UInt8] {
      var bytes = bytes
      bytes.replaceSubrange(
        directory + 24..<directory + 28, with: withUnsafeBytes(of: size.littleEndian, Array.init))
      return bytes
    }
    #expect(
      problem { try decode(promising(160_000), "images") }
        == #"f, "images.npy": is damaged: 152 bytes cannot be 160000 compressed"#)
    for size in [0, 151, 153, 100_000] as [UInt32] {
      #expect(problem { try decode(promising(size), "images") }.contains("is damaged"), "\(size)")
    }
  }

  @Test func noticesEveryFlippedByte() throws {
    let bytes = try NPZ.encode(Self.tensor, name: "images")
    let content = try #require(place(of: Array("NUMPY".utf8), in: bytes)) - 1
    for place in content..<content + 152 {
      var damaged = bytes
      damaged[place] ^= 1
      #expect(problem { try decode(damaged, "images") }.contains("is damaged (CRC error)"))
    }
  }

  @Test func survivesDamage() throws {
    let written = try NPZ.encode(Self.tensor, name: "images")
    for (bytes, seed) in [(Self.golden, 8), (written, 9)] as [([UInt8], UInt64)] {
      #expect(fuzz(bytes, times: 4000, seed: seed) { try decode($0, "images") } > 2000)
    }
  }

  @Test func refusesWhatInflatesToMuchMore() throws {
    let zip = try withPython(
      """
      import io, sys, zipfile
      f = io.BytesIO()
      with zipfile.ZipFile(f, "w", zipfile.ZIP_DEFLATED) as archive:
          archive.writestr("images.npy", bytes(1 << 25))
      sys.stdout.buffer.write(f.getvalue())
      """)
    guard let zip else { return }
    let message = problem { try decode(zip, "images", limit: 1 << 30) }
    #expect(message.hasSuffix("at most 200 times a file's size is inflated"), "\(message)")
  }

  @Test func refusesTooManyArrays() throws {
    let zip = try withPython(
      """
      import io, sys, zipfile
      f = io.BytesIO()
      with zipfile.ZipFile(f, "w") as archive:
          for i in range(10001): archive.writestr(f"a{i}.npy", b"")
      sys.stdout.buffer.write(f.getvalue())
      """)
    guard let zip else { return }
    #expect(
      problem { try decode(zip, "images") }
        == "f: has 10001 arrays; an archive of at most 10000 is read")
  }

  /// By zipfile, which is always there, and by NumPy, if it is.
  @Test func agreesWithPython() throws {
    let bytes = try NPZ.encode(Self.tensor, name: "images")
    let answer = try withPython(
      """
      import io, sys, zipfile
      given = io.BytesIO(sys.stdin.buffer.read())
      archive = zipfile.ZipFile(given)
      assert archive.testzip() is None
      content = archive.read("images.npy")
      out = io.BytesIO()
      try:
          import numpy
          given.seek(0)
          images = numpy.load(given)["images"]
          assert images.dtype == "<f4" and images[0, 2] == -2 and images.shape == (2, 3)
          numpy.savez_compressed(out, images, labels=numpy.arange(2))
      except ImportError:
          with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as other:
              other.writestr("labels.npy", b"")
              other.writestr("arr_0.npy", content)
      sys.stdout.buffer.write(out.getvalue())
      """, bytes)
    guard let answer else { return }
    #expect(try decode(answer, "images", "arr_0") == (Self.tensor, .float32))
    let (file, content) = try NPZ.array(["images"], of: bytes, file: "f", limit: 1 << 20)
    #expect(file == #"f, "images.npy""# && content == NPY.encode(Self.tensor))
  }

  private func place(of pattern: [UInt8], in bytes: [UInt8]) -> Int? {
    bytes.indices.first { bytes[$0...].starts(with: pattern) }
  }

  /// What a program prints; nil where there is no Python.
  private func withPython(_ program: String, _ input: [UInt8] = []) throws -> [UInt8]? {
    var output: [UInt8]?
    try withFolder { folder in
      try File.writeAtomically(input, to: folder + "/input")
      _ = FileManager.default.createFile(atPath: folder + "/output", contents: nil)
      let process = Process()
      process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
      process.arguments = ["python3", "-c", program]
      process.standardInput = FileHandle(forReadingAtPath: folder + "/input")
      process.standardOutput = FileHandle(forWritingAtPath: folder + "/output")
      try process.run()
      process.waitUntilExit()
      guard process.terminationStatus != 127 else { return }
      #expect(process.terminationStatus == 0)
      output = try File.read(folder + "/output")
    }
    return output
  }
}

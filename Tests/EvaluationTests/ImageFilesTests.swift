import Formats
import Foundation
import Neural
import Testing

@testable import DiffuseVAE
@testable import Evaluation

@Suite struct ImageFilesTests {
  private let grey = ImageShape(height: 3, width: 2, channels: 1)

  /// An NPY file of version 1.0, as NumPy describes it.
  private func npy(_ type: String, _ shape: [Int], _ content: [UInt8]) -> [UInt8] {
    let sizes = shape.map { "\($0), " }.joined()
    let header = "{'descr': '\(type)', 'fortran_order': False, 'shape': (\(sizes)), }\n"
    return [0x93] + Array("NUMPY".utf8) + [1, 0, UInt8(header.utf8.count), 0] + header.utf8
      + content
  }

  private func images(_ path: String, _ shape: ImageShape) throws -> ByteImages {
    try ByteImages(files: path, shape: shape, counts: Reference.counts)
  }

  private func littleEndian<Number: FixedWidthInteger>(_ numbers: [Number]) -> [UInt8] {
    numbers.flatMap { withUnsafeBytes(of: $0.littleEndian, Array.init) }
  }

  @Test("Arrays of bytes, floats and doubles, with channels and without, are the bytes they show")
  func arrays() throws {
    let bytes = (0..<24).map { UInt8($0 * 11) }
    let floats = littleEndian(bytes.map { (Float($0) / 255).bitPattern })
    let doubles = littleEndian(bytes.map { (Double($0) / 255).bitPattern })
    let expected = ByteImages(count: 4, height: 3, width: 2, channels: 1, bytes: bytes)
    try inTemporaryFolder { folder in
      let path = folder + "/x.npy"
      for (type, content) in [("|u1", bytes), ("<f4", floats), ("<f8", doubles)] {
        for shape in [[4, 3, 2], [4, 3, 2, 1]] {
          try File.writeAtomically(npy(type, shape, content), to: path)
          #expect(try images(path, grey) == expected, "\(type) \(shape)")
        }
      }
      let colour = (0..<72).map { UInt8($0 * 3) }
      try File.writeAtomically(npy("|u1", [4, 3, 2, 3], colour), to: path)
      let found = try images(path, ImageShape(height: 3, width: 2, channels: 3))
      #expect(found == ByteImages(count: 4, height: 3, width: 2, channels: 3, bytes: colour))
    }
  }

  @Test(
    "A saved array, a saved folder and what was saved are the same images, with the same scores")
  func saved() throws {
    let data = try digits()
    var pixels = RandomStream(seed: 3, purpose: .component).uniform(rows: 0..<30, columns: 64)
    // Halfway between bytes, where rounding decides.
    for i in 0..<64 { pixels[0, i] = (Float(i) + 0.5) / 255 }
    let drawn = ByteImages(pixels, shape: data.shape)
    #expect(drawn.bytes.count == 30 * 64 && Set(drawn.bytes).count > 200)
    let reference = try Reference(
      data, extractor: .random(shape: data.shape), count: 30, seed: 0, threads: 2)
    let scores = try reference.scores(of: drawn)
    try inTemporaryFolder { folder in
      for name in ["x.npy", "x.npz", "many"] {
        let output = try ImageOutput("\(folder)/\(name)")
        try output.check(count: 30, shape: data.shape)
        try output.write(pixels, shape: data.shape)
        let read = try images("\(folder)/\(name)", data.shape)
        #expect(read == drawn)
        #expect(try reference.scores(of: read) == scores)
      }
    }
  }

  @Test("A folder's PNG files are taken in the order of their names, and nothing else is")
  func order() throws {
    try inTemporaryFolder { folder in
      let names = ["10.png", "9.png", "C.PNG", "a.png", "b.png"]
      for (index, name) in names.enumerated().reversed() {
        let bytes = [UInt8](repeating: UInt8(index), count: 6)
        try File.writeAtomically(
          PNG.encode(width: 2, height: 3, channels: 1, bytes: bytes), to: "\(folder)/\(name)")
      }
      for name in [".hidden.png", "notes.txt"] {
        try File.writeAtomically([1, 2, 3], to: "\(folder)/\(name)")
      }
      let found = try images(folder, grey)
      #expect(found.count == 5 && found.height == 3 && found.width == 2)
      #expect(found.bytes == (0..<5).flatMap { [UInt8](repeating: $0, count: 6) })
    }
  }

  @Test("Every mistake is a sentence that names the file")
  func mistakes() throws {
    try inTemporaryFolder { folder in
      func refusal(_ name: String, _ bytes: [UInt8]? = nil) throws -> String {
        let path = folder + "/" + name
        if let bytes { try File.writeAtomically(bytes, to: path) }
        let text = problem { try images(path, grey) }
        #expect(text.hasPrefix(path), "\(text)")
        return text
      }
      func floats(_ number: Float) -> [UInt8] {
        npy("<f4", [4, 3, 2], littleEndian([Float](repeating: 0.5, count: 23).map(\.bitPattern)))
          + littleEndian([number.bitPattern])
      }
      #expect(try refusal("none").contains("no such file or folder"))
      #expect(try refusal("text.npy", Array("hello".utf8)).contains("not an NPY file"))
      #expect(try refusal("empty.npy", []).contains("not an NPY file"))
      for shape in [[], [6], [4, 2, 3], [4, 3, 2, 3], [4, 1, 3, 2], [1, 4, 3, 2, 1]] {
        let size = shape.reduce(1, *)
        let content = [UInt8](repeating: 0, count: size)
        let text = try refusal("size.npy", npy("|u1", shape, content))
        #expect(text.contains("expected [N, 3, 2, 1]"), "\(text)")
      }
      #expect(try refusal("cut.npy", floats(0.5).dropLast(4)).contains("has 92 bytes of data"))
      #expect(try refusal("type.npy", npy("<i4", [4, 3, 2], [])).contains("type \"<i4\""))
      for number in [Float(-0.01), 1.01, .nan, .infinity, 255] {
        #expect(try refusal("range.npy", floats(number)).contains("must be in [0, 1]"))
      }
      for count in [0, 1, 3] {
        let bytes = [UInt8](repeating: 0, count: 6 * count)
        #expect(
          try refusal("few.npy", npy("|u1", [count, 3, 2], bytes)).contains(
            "the number of images is \(count); it must be in 4...1000000"))
      }
      // More than memory, or than a number holds.
      for count in [1 << 50, Int.max] {
        #expect(try refusal("many.npy", npy("|u1", [count, 3, 2], [])).contains("has 0 bytes"))
      }
      try FileManager.default.createDirectory(
        atPath: folder + "/images/x.png", withIntermediateDirectories: true)
      #expect(try refusal("images").contains("x.png: cannot be read: it is a folder"))
      try FileManager.default.removeItem(atPath: folder + "/images/x.png")
      #expect(try refusal("images").contains("no PNG files in this folder"))
      _ = try refusal("images/x.png", [1, 2, 3])
      #expect(try refusal("images").contains("images/x.png: "))
      let wide = try PNG.encode(width: 3, height: 2, channels: 1, bytes: [UInt8](0..<6))
      try File.writeAtomically(wide, to: folder + "/images/x.png")
      #expect(
        try refusal("images").contains("x.png: is 2x3x1, and not 3x2x1"))
      let tall = try PNG.encode(width: 2, height: 3, channels: 1, bytes: [UInt8](0..<6))
      try File.writeAtomically(tall, to: folder + "/images/x.png")
      #expect(try refusal("images").contains("the number of images is 1"))
    }
  }
}

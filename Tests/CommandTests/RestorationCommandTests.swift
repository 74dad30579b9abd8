import Foundation
import Testing

/// Images of which only a part is given.
@Suite(.serialized) struct RestorationCommandTests {
  /// An array of bytes, as NumPy saves it.
  private func array(_ shape: [Int], _ bytes: [UInt8]) -> Data {
    let sizes = shape.map { "\($0), " }.joined()
    let header = "{'descr': '|u1', 'fortran_order': False, 'shape': (\(sizes)), }\n"
    return Data(
      [0x93] + Array("NUMPY".utf8) + [1, 0, UInt8(header.utf8.count), 0] + header.utf8 + bytes)
  }

  @Test("Holes are filled, small images enlarged, noise taken away; mistakes are named")
  func restore() throws {
    let place = try Place()
    defer { place.remove() }
    try #require(place.run("diffusevae-train", "--config", "small.yaml").status == 0)
    func write(_ name: String, _ shape: [Int], _ bytes: [UInt8]) throws {
      try array(shape, bytes).write(to: URL(fileURLWithPath: "\(place.folder)/\(name)"))
    }
    try write("hole.npy", [1, 8, 8], (0..<64).map { $0 < 24 ? 255 : 0 })
    // White is what is white in all colours, opaque or not.
    try write(
      "colour.npy", [1, 8, 8, 4],
      (0..<64).flatMap { $0 < 24 ? [255, 200, 128, 0] : [255, 255, 127, 255] })
    try write("black.npy", [1, 8, 8], [UInt8](repeating: 0, count: 64))
    try write("wide.npy", [1, 8, 9], [UInt8](repeating: 255, count: 72))
    try write("little.npy", [3, 2, 2], (0..<12).map { UInt8(20 * $0) })

    let sample = "diffusevae-sample"
    func draw(_ out: String, _ arguments: String...) throws -> [UInt8] {
      let result = try place.run(sample, arguments + ["--out", out])
      try #require(result.status == 0, "\(result.errors)")
      return try place.read(out)
    }
    let filled = try draw("a.npy", "--from", "dataset:0", "--count", "2", "--hole", "hole.npy")
    #expect(
      try draw("b.npy", "--from", "dataset:0", "--count", "2", "--hole", "colour.npy") == filled)
    let large = try draw("c.npy", "--from", "little.npy", "--count", "2", "--enlarge", "4")
    #expect(large.count == 128 + 2 * 64 * 4)
    _ = try draw("d.apng", "--from", "dataset:0", "--count", "2", "--denoise", "0.3")
    _ = try draw("e.png", "--from", "dataset:0", "--start-at", "0.5")

    func refuse(_ sentence: String, _ arguments: String...) throws {
      let result = try place.run(sample, arguments)
      #expect(result.status != 0 && !result.crashed && result.output.isEmpty)
      #expect(result.errors.contains(sentence), "\(result.errors)")
    }
    try refuse("has no white", "--from", "dataset:0", "--hole", "black.npy")
    try refuse("is 8 by 9 pixels", "--from", "dataset:0", "--hole", "wide.npy")
    try refuse("does not divide", "--from", "dataset:0", "--enlarge", "3")
    try refuse("must be 2 or more", "--from", "dataset:0", "--enlarge", "1")
    try refuse("expected [N, 2, 2, 1]", "--from", "hole.npy", "--enlarge", "4")
    try refuse("restore images of --from", "--hole", "hole.npy")
    try refuse(
      "both say what is known", "--from", "dataset:0", "--hole", "hole.npy", "--enlarge", "4")
    try refuse(
      "--denoise is of whole", "--from", "dataset:0", "--hole", "hole.npy", "--denoise", "0.1")
    try refuse("must be above 0", "--from", "dataset:0", "--denoise", "nan")
    try refuse("must be in 0...1", "--from", "dataset:0", "--start-at", "2")
    try refuse(
      "are more than the", "--from", "dataset:0", "--start-at", "0.02", "--steps", "40")
    try refuse(
      "restores nothing", "--from", "dataset:0", "--stage", "vae", "--hole", "hole.npy")
  }
}

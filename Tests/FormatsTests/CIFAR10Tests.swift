import Testing

@testable import Formats

@Suite struct CIFAR10Tests {
  private func record(_ label: UInt8, _ pixel: (Int) -> UInt8) -> [UInt8] {
    [label] + (0..<3072).map(pixel)
  }

  private func images(_ bytes: [UInt8]) throws -> ByteImages {
    try CIFAR10.images(bytes, file: "f")
  }

  @Test("A pixel's red, green and blue, 1024 bytes apart in the file, are side by side")
  func planes() throws {
    // Byte i of the second image is i mod 251, so that no two planes are alike.
    let found = try images(record(2) { _ in 0 } + record(9) { UInt8($0 % 251) })
    #expect(found.shape == [2, 32, 32, 3] && found.labels == [2, 9])
    for pixel in [0, 1, 32, 1023] {
      let expected = [pixel, 1024 + pixel, 2048 + pixel].map { UInt8($0 % 251) }
      #expect(Array(found.bytes[(1024 + pixel) * 3..<(1024 + pixel) * 3 + 3]) == expected)
    }
    #expect(found.bytes[..<3072].allSatisfy { $0 == 0 })
  }

  @Test("What is no batch is refused with a sentence")
  func mistakes() {
    let one = record(0) { _ in 7 }
    for bytes in [[], [0], Array(one.dropLast()), one + [1]] {
      #expect(
        problem { try images(bytes) }
          == "f: is not a batch of CIFAR-10: \(bytes.count) bytes are not whole records of 3073")
    }
    #expect(
      problem { try images(one + record(10) { _ in 7 }) }
        == "f: has the label 10 in record 1; 0...9 are known")
    #expect(problem { try CIFAR10.images(at: "/nonexistent") }.contains("No such file"))
  }
}

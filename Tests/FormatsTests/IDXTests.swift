import Foundation
import Testing

@testable import Formats

@Suite struct IDXTests {
  /// Two images of 2 x 3.
  static let images: [UInt8] = [
    0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 3,
    1, 2, 3, 4, 5, 6,
    7, 8, 9, 10, 11, 255,
  ]
  static let labels: [UInt8] = [0, 0, 8, 1, 0, 0, 0, 3, 9, 0, 4]

  private func images(_ bytes: [UInt8]) throws -> ByteImages {
    try IDX.images(bytes, file: "f")
  }

  /// The bytes plain and compressed must be refused with the same words.
  private func refusal(_ bytes: [UInt8]) -> String {
    let message = problem { try images(bytes) }
    #expect(problem { try images(deflated(bytes)) } == message)
    return message
  }

  @Test func readsImages() throws {
    let expected = ByteImages(
      count: 2, height: 2, width: 3, channels: 1, bytes: Array(Self.images[16...]))
    #expect(try images(Self.images) == expected)
    #expect(try images(deflated(Self.images)) == expected)
  }

  @Test func readsImagesWithChannels() throws {
    let header: [UInt8] = [0, 0, 8, 4, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3]
    let expected = ByteImages(
      count: 1, height: 1, width: 2, channels: 3, bytes: [1, 2, 3, 4, 5, 6])
    #expect(try images(header + [1, 2, 3, 4, 5, 6]) == expected)
  }

  @Test func readsLabels() throws {
    #expect(try IDX.labels(Self.labels, file: "f") == [9, 0, 4])
    #expect(try IDX.labels(deflated(Self.labels), file: "f") == [9, 0, 4])
  }

  @Test func readsFilesWhateverTheirName() throws {
    try withFolder { folder in
      try File.writeAtomically(deflated(Self.images), to: folder + "/images")
      try File.writeAtomically(Self.labels, to: folder + "/labels.gz")
      #expect(try IDX.images(at: folder + "/images").count == 2)
      #expect(try IDX.labels(at: folder + "/labels.gz") == [9, 0, 4])
    }
    #expect(problem { try IDX.images(at: "/nonexistent") }.contains("No such file"))
  }

  @Test func refusesWhatIsNotIDX() {
    let message = "f: is not an IDX file: it does not begin with two zero bytes and a type"
    #expect(problem { try images([]) } == message)
    #expect(refusal([0, 0, 8]) == message)
    #expect(refusal([1, 0, 8, 3] + Self.images[4...]) == message)
    #expect(refusal(Array("<html></html>".utf8)) == message)
  }

  @Test func refusesOtherTypes() {
    #expect(
      refusal([0, 0, 0x0D, 3] + Self.images[4...])
        == "f: holds elements of IDX type 13; only unsigned bytes, type 8, are read")
  }

  @Test func refusesOtherDimensions() {
    #expect(refusal(Self.labels) == "f: is of rank 1, but images are of rank 3 or 4")
    #expect(refusal([0, 0, 8, 0, 1]) == "f: is of rank 0, but images are of rank 3 or 4")
    #expect(
      refusal([0, 0, 8, 255] + Self.images) == "f: is of rank 255, but images are of rank 3 or 4")
    #expect(
      problem { try IDX.labels(Self.images, file: "f") }
        == "f: is of rank 3, but labels are of rank 1")
  }

  @Test(arguments: 4..<28) func refusesAFileCutShort(length: Int) {
    let message = refusal(Array(Self.images.prefix(length)))
    #expect(
      message
        == (length < 16
          ? "f: is cut short: a header of 16 bytes expected, \(length) bytes found"
          : "f: is cut short: 28 bytes expected for [2, 2, 3], \(length) found"))
  }

  @Test func refusesACompressedFileCutShortOrDamaged() {
    let bytes = deflated(Self.images)
    for length in 2..<bytes.count {
      #expect(problem { try images(Array(bytes.prefix(length))) }.contains("ends in the middle"))
    }
    var damaged = bytes
    damaged[bytes.count - 5] ^= 0x80
    #expect(problem { try images(damaged) }.contains("incorrect data check"))
  }

  @Test func refusesTrailingBytes() {
    #expect(refusal(Self.images + [0]) == "f: goes on after the 28 bytes expected for [2, 2, 3]")
  }

  @Test func refusesNoImages() {
    for place in [7, 11, 15] {
      var bytes = Self.images
      bytes[place] = 0
      #expect(refusal(bytes).contains("holds no images: its dimensions are ["))
    }
    #expect(problem { try IDX.labels([0, 0, 8, 1, 0, 0, 0, 0], file: "f") }.contains("no labels"))
  }

  @Test func refusesDimensionsThatOverflowOrExceedTheLimit() {
    let most = [UInt8](repeating: 0xFF, count: 4)
    #expect(
      refusal([0, 0, 8, 3] + most + most + most)
        == "f: promises images of [4294967295, 4294967295, 4294967295]; "
        + "at most 4294967296 bytes are read")
    #expect(refusal([0, 0, 8, 4] + most + most + most + most).contains("promises images of"))
    #expect(refusal([0, 0, 8, 3] + most + [0, 0, 0, 2] + [0, 0, 0, 1]).contains("at most"))
    // Just below the limit it is the content that is missing.
    let much = [0, 0, 8, 3] + most + [0, 0, 0, 1] + [0, 0, 0, 1]
    #expect(problem { try images(much) }.contains("cut short"))
  }

  @Test func aBombIsRefusedWithoutInflatingIt() {
    let bomb = deflated(Self.images + [UInt8](repeating: 0, count: 64 << 20))
    #expect(problem { try images(bomb) }.contains("goes on after the 28 bytes"))
  }

  @Test func survivesDamage() {
    fuzz(Self.images, times: 4000, seed: 2, decode: images)
    fuzz(deflated(Self.images), times: 4000, seed: 3, decode: images)
    fuzz(Self.labels, times: 2000, seed: 4) { try IDX.labels($0, file: "f") }
  }

  /// Runs where the data set is at hand: `DIFFUSEVAE_DATA` names the folder that contains `mnist`.
  @Test(.enabled(if: mnist.map { FileManager.default.fileExists(atPath: $0.images) } ?? false))
  func readsMNIST() throws {
    let mnist = try #require(Self.mnist)
    let images = try IDX.images(at: mnist.images)
    #expect(images.shape == [60000, 28, 28, 1])
    let labels = try IDX.labels(at: mnist.labels)
    #expect(labels.count == 60000)
    #expect(labels.prefix(8) == [5, 0, 4, 1, 9, 2, 1, 3])
  }

  static let mnist = ProcessInfo.processInfo.environment["DIFFUSEVAE_DATA"].map {
    (
      images: $0 + "/mnist/train-images-idx3-ubyte.gz",
      labels: $0 + "/mnist/train-labels-idx1-ubyte.gz"
    )
  }
}

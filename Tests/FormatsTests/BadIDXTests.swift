import Testing

@testable import Formats

@Suite struct BadIDXTests {
  /// A header of these sizes, and so many bytes of content.
  private static func file(
    _ sizes: [UInt32], data: Int, type: UInt8 = 8, rank: UInt8? = nil
  ) -> [UInt8] {
    [0, 0, type, rank ?? UInt8(sizes.count)]
      + sizes.flatMap { withUnsafeBytes(of: $0.bigEndian, Array.init) }
      + [UInt8](repeating: 7, count: data)
  }

  private static let noHeader =
    "is not an IDX file: it does not begin with two zero bytes and a type"
  private static let most = UInt32.max

  static let beginnings: [BadFile] = [
    BadFile([], noHeader), BadFile([0], noHeader), BadFile([0, 0], noHeader),
    BadFile([0, 0, 8], noHeader), BadFile([1] + file([2, 2, 3], data: 12).dropFirst(), noHeader),
    BadFile([0, 1] + file([2, 2, 3], data: 12).dropFirst(2), noHeader), BadFile("GIF89a", noHeader),
    BadFile("<html></html>", noHeader), BadFile("P5 2 3 255 ......", noHeader),
    BadFile([8, 0, 0, 3], noHeader), BadFile("\u{feff}\0\0", noHeader),
  ]

  static let types: [BadFile] = ([0, 1, 7, 9, 11, 12, 13, 14, 128, 255] as [UInt8]).map { type in
    BadFile(
      file([2, 2, 3], data: 12, type: type),
      "holds elements of IDX type \(type); only unsigned bytes, type 8, are read")
  }

  static let ranks: [BadFile] = ([0, 1, 2, 5, 6, 16, 255] as [UInt8]).map { rank in
    BadFile(
      file([2, 2, 3], data: 12, rank: rank), "is of rank \(rank), but images are of rank 3 or 4")
  }

  static let sizes: [BadFile] = [
    BadFile(file([0, 2, 3], data: 12), "holds no images: its dimensions are [0, 2, 3]"),
    BadFile(file([2, 0, 3], data: 12), "holds no images: its dimensions are [2, 0, 3]"),
    BadFile(file([2, 2, 0], data: 12), "holds no images: its dimensions are [2, 2, 0]"),
    BadFile(file([0, 0, 0], data: 0), "holds no images: its dimensions are [0, 0, 0]"),
    BadFile(file([2, 2, 3, 0], data: 12), "holds no images: its dimensions are [2, 2, 3, 0]"),
    BadFile(
      file([most, most, 0], data: 0),
      "promises images of [4294967295, 4294967295, 0]; at most 4294967296 bytes are read"),
    BadFile(
      file([65536, 65536, 2], data: 12),
      "promises images of [65536, 65536, 2]; at most 4294967296 bytes are read"),
    BadFile(
      file([most, 2, 1], data: 12),
      "promises images of [4294967295, 2, 1]; at most 4294967296 bytes are read"),
    BadFile(
      file([1, 65536, 65537], data: 12),
      "promises images of [1, 65536, 65537]; at most 4294967296 bytes are read"),
    BadFile(
      file([most, most, most], data: 12),
      "promises images of [4294967295, 4294967295, 4294967295]; at most 4294967296 bytes are read"),
    BadFile(
      file([65536, 65536, 65536, 65536], data: 12),
      "promises images of [65536, 65536, 65536, 65536]; at most 4294967296 bytes are read"),
    BadFile(
      file([most, most, most, most], data: 12),
      "promises images of [4294967295, 4294967295, 4294967295, 4294967295]; "
        + "at most 4294967296 bytes are read"),
    // The sizes of [2, 2, 3] with the least significant byte first.
    BadFile(
      file([0x0200_0000, 0x0200_0000, 0x0300_0000], data: 12),
      "promises images of [33554432, 33554432, 50331648]; at most 4294967296 bytes are read"),
  ]

  static let lengths: [BadFile] = [
    BadFile(
      file([2, 2, 3], data: 0), "is cut short: 28 bytes expected for [2, 2, 3], 16 found"),
    BadFile(
      file([2, 2, 3], data: 1), "is cut short: 28 bytes expected for [2, 2, 3], 17 found"),
    BadFile(
      file([2, 2, 3], data: 11), "is cut short: 28 bytes expected for [2, 2, 3], 27 found"),
    BadFile(
      file([3, 2, 3], data: 12), "is cut short: 34 bytes expected for [3, 2, 3], 28 found"),
    BadFile(
      file([2, 3, 3], data: 12), "is cut short: 34 bytes expected for [2, 3, 3], 28 found"),
    BadFile(
      file([2, 2, 4], data: 12), "is cut short: 32 bytes expected for [2, 2, 4], 28 found"),
    BadFile(
      file([256, 2, 3], data: 12), "is cut short: 1552 bytes expected for [256, 2, 3], 28 found"),
    BadFile(
      file([2, 2, 3, 3], data: 12), "is cut short: 56 bytes expected for [2, 2, 3, 3], 32 found"),
    BadFile(file([1, 2, 3], data: 12), "goes on after the 22 bytes expected for [1, 2, 3]"),
    BadFile(file([2, 1, 3], data: 12), "goes on after the 22 bytes expected for [2, 1, 3]"),
    BadFile(file([2, 2, 2], data: 12), "goes on after the 24 bytes expected for [2, 2, 2]"),
    BadFile(file([2, 2, 3], data: 13), "goes on after the 28 bytes expected for [2, 2, 3]"),
    BadFile(file([2, 2, 3], data: 1000), "goes on after the 28 bytes expected for [2, 2, 3]"),
    BadFile(file([1, 1, 1, 1], data: 2), "goes on after the 21 bytes expected for [1, 1, 1, 1]"),
    BadFile([0, 0, 8, 3], "is cut short: a header of 16 bytes expected, 4 bytes found"),
    BadFile(
      Array(file([2, 2, 3], data: 0).dropLast()),
      "is cut short: a header of 16 bytes expected, 15 bytes found"),
    BadFile(
      file([2, 2, 3], data: 3, rank: 4),
      "is cut short: a header of 20 bytes expected, 19 bytes found"),
  ]

  @Test(
    "Bad images are refused, plain and compressed alike",
    arguments: beginnings + types + ranks + sizes + lengths)
  func badImages(_ bad: BadFile) {
    bad.check(IDX.images)
    BadFile(deflated(bad.bytes), bad.sentence).check(IDX.images)
  }

  /// What only one of the two can be.
  @Test("Promises of much are believed in proportion to the file's size")
  func promises() {
    let many = Self.file([60000, 28, 28], data: 0)
    BadFile(many, "is cut short: 47040016 bytes expected for [60000, 28, 28], 16 found")
      .check(IDX.images)
    let small = deflated(many)
    BadFile(
      small,
      "is to inflate from \(small.count) to 47040016 bytes; above 16777216, at most 200 times a "
        + "file's size is inflated"
    ).check(IDX.images)
    let padded = deflated(Self.file([1], data: 1)) + (0..<4000).flatMap { _ in deflated([]) }
    BadFile(padded, "has \(padded.count) bytes, but is to inflate to no more than 9")
      .check(IDX.labels)
  }

  static let labels: [BadFile] = [
    BadFile(file([], data: 4), "is of rank 0, but labels are of rank 1"),
    BadFile(file([1, 3], data: 3), "is of rank 2, but labels are of rank 1"),
    BadFile(file([1, 1, 3], data: 3), "is of rank 3, but labels are of rank 1"),
    BadFile(file([1, 1, 1, 3], data: 3), "is of rank 4, but labels are of rank 1"),
    BadFile(file([0], data: 0), "holds no labels: its dimensions are [0]"),
    BadFile(file([0], data: 3), "holds no labels: its dimensions are [0]"),
    BadFile(file([3], data: 0), "is cut short: 11 bytes expected for [3], 8 found"),
    BadFile(file([3], data: 2), "is cut short: 11 bytes expected for [3], 10 found"),
    BadFile(file([256], data: 3), "is cut short: 264 bytes expected for [256], 11 found"),
    BadFile(file([3], data: 4), "goes on after the 11 bytes expected for [3]"),
    BadFile(file([1], data: 100), "goes on after the 9 bytes expected for [1]"),
    BadFile(
      file([3], data: 3, type: 12),
      "holds elements of IDX type 12; only unsigned bytes, type 8, are read"),
    BadFile("0123456789", noHeader),
  ]

  @Test("Bad labels are refused, plain and compressed alike", arguments: labels)
  func badLabels(_ bad: BadFile) {
    bad.check(IDX.labels)
    BadFile(deflated(bad.bytes), bad.sentence).check(IDX.labels)
  }
}

import CImage
import Testing

@testable import Formats

/// Bad PNG files, streams of gzip and batches of CIFAR-10.
@Suite struct BadImagesTests {
  private static let signature: [UInt8] = [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]

  private static func bigEndian(_ number: UInt32) -> [UInt8] {
    withUnsafeBytes(of: number.bigEndian, Array.init)
  }

  private static func chunk(_ type: String, _ data: [UInt8]) -> [UInt8] {
    let checked = Array(type.utf8) + data
    let crc = UInt32(crc32(0, checked, uInt(checked.count)))
    return bigEndian(UInt32(data.count)) + checked + bigEndian(crc)
  }

  private static func header(
    _ width: UInt32 = 2, _ height: UInt32 = 2, depth: UInt8 = 8, colour: UInt8 = 0,
    methods: [UInt8] = [0, 0, 0]
  ) -> [UInt8] {
    chunk("IHDR", bigEndian(width) + bigEndian(height) + [depth, colour] + methods)
  }

  /// A file; its `IHDR` ends at byte 33.
  private static func file(
    _ header: [UInt8] = header(), extra: [UInt8] = [], rows: [UInt8] = [0, 1, 2, 0, 3, 255]
  ) -> [UInt8] {
    signature + header + extra + chunk("IDAT", deflated(rows, gzip: false)) + chunk("IEND", [])
  }

  private static let noPNG = "is not a PNG: it does not begin with the signature"
  private static let short = "is a PNG cut short: it ends before its last chunk"

  static let beginnings: [BadFile] =
    [
      BadFile("", noPNG), BadFile("GIF89a", noPNG), BadFile([0xFF, 0xD8, 0xFF, 0xE0], noPNG),
      BadFile("BM", noPNG), BadFile("RIFF\0\0\0\0WEBP", noPNG), BadFile("<svg/>", noPNG),
      BadFile(Array(signature.dropLast()), noPNG), BadFile(signature, short),
    ]
    + (0..<8).map { place in
      var bytes = file()
      bytes[place] ^= 0x20
      return BadFile(bytes, noPNG)
    }

  /// Places where a chunk ends or its parts begin: its length, type, content and checksum.
  static let cuts: [BadFile] = [9, 11, 12, 16, 20, 29, 31, 33, 37, 41, 45].map {
    BadFile(Array(file().prefix($0)), short)
  }

  static let chunks: [BadFile] = [
    BadFile(signature + header(), short),
    BadFile(signature + chunk("IDAT", deflated([0], gzip: false)), short),
    BadFile(
      signature + header() + [0x7F, 255, 255, 255] + Array("IDAT".utf8) + bigEndian(0), short),
    BadFile(
      signature + header() + [255, 255, 255, 255] + Array("IDAT".utf8) + bigEndian(0), short),
    BadFile(signature + header() + [0x80, 0, 0, 0] + Array("IEND".utf8) + bigEndian(0), short),
    BadFile(file() + [0], "has \(file().count + 1) bytes, but its PNG ends after \(file().count)"),
    BadFile(
      file() + file(), "has \(2 * file().count) bytes, but its PNG ends after \(file().count)"),
    BadFile(
      file() + chunk("IEND", []),
      "has \(file().count + 12) bytes, but its PNG ends after \(file().count)"),
  ]

  /// The checksum of `IHDR` is at byte 29; that of `IEND` is the last of the file.
  static let checksums: [BadFile] = [
    (8 + 4, 29), (8 + 7, 29), (16, 29), (24, 29), (28, 29), (29, 29), (32, 29),
  ].map { place, found in
    var bytes = file()
    bytes[place] ^= 1
    return BadFile(bytes, "is a damaged PNG: a checksum is wrong before byte \(found)")
  }

  private static let unreadable = "is not a PNG that can be read: "

  /// What the specification forbids, in the words of libpng.
  static let headers: [BadFile] = [
    file(header(0, 2)), file(header(2, 0)), file(header(0, 0)), file(header(1_000_001, 2)),
    file(header(2, 1_000_001)), file(header(0x7FFF_FFFF, 0x7FFF_FFFF)),
    file(header(depth: 0)), file(header(depth: 3)), file(header(depth: 5)), file(header(depth: 7)),
    file(header(depth: 9)), file(header(depth: 32)), file(header(depth: 255)),
    file(header(colour: 1)), file(header(colour: 5)), file(header(colour: 7)),
    file(header(colour: 255)), file(header(depth: 4, colour: 2)), file(header(depth: 1, colour: 4)),
    file(header(depth: 2, colour: 6)), file(header(depth: 16, colour: 3)),
    file(header(methods: [1, 0, 0])), file(header(methods: [0, 1, 0])),
    file(header(methods: [0, 0, 2])),
  ].map { BadFile($0, unreadable + "Invalid IHDR data") }

  static let sizes: [BadFile] = [
    file(header(1 << 31, 2)), file(header(2, 1 << 31)), file(header(.max, .max)),
  ].map { BadFile($0, unreadable + "PNG unsigned integer out of range") }

  static let rows: [BadFile] = [
    BadFile(file(rows: []), unreadable + "Not enough image data"),
    BadFile(file(rows: [0, 1, 2]), unreadable + "Not enough image data"),
    BadFile(file(rows: [0, 1, 2, 0, 3]), unreadable + "Not enough image data"),
    BadFile(file(header(2, 3)), unreadable + "Not enough image data"),
    BadFile(file(header(3, 2)), unreadable + "Not enough image data"),
    BadFile(file(header(colour: 2)), unreadable + "Not enough image data"),
    BadFile(file(header(depth: 16)), unreadable + "Not enough image data"),
    BadFile(file(rows: [5, 1, 2, 0, 3, 4]), unreadable + "bad adaptive filter value"),
    BadFile(file(rows: [0, 1, 2, 255, 3, 4]), unreadable + "bad adaptive filter value"),
  ]

  /// How many numbers there are, of at most 2^20.
  static let promises: [BadFile] = [
    (header(1024, 1025), "1024 x 1025 x 1"), (header(1025, 1024), "1025 x 1024 x 1"),
    (header(1_000_000, 2), "1000000 x 2 x 1"),
    (header(1_000_000, 1_000_000), "1000000 x 1000000 x 1"),
    (header(592, 592, colour: 2), "592 x 592 x 3"), (header(513, 512, colour: 6), "513 x 512 x 4"),
    (header(513, 512, colour: 4), "513 x 512 x 4"), (header(2, 1_000_000), "2 x 1000000 x 1"),
  ].map { header, sizes in
    let bytes = file(header)
    return BadFile(
      bytes,
      "promises \(sizes) samples; at most 1048576 are read, and \(bytes.count) bytes hold at most "
        + "\(bytes.count * 8256) pixels")
  }

  @Test(
    "Bad pictures are refused",
    arguments: beginnings + cuts + chunks + checksums + headers + sizes + rows + promises + excesses
  )
  func badPictures(_ bad: BadFile) {
    bad.check { try PNG.decode($0, limit: 1 << 20, file: $1) }
  }

  /// Twice the rows of two samples and a filter's number, and 1 MiB.
  static let excesses: [BadFile] = [
    BadFile(
      file(rows: [UInt8](repeating: 0, count: 1 << 24)),
      "is of 2 x 2 pixels, but its data inflate to more than 1048588 bytes"),
    BadFile(
      file(header(methods: [0, 0, 1]), rows: [UInt8](repeating: 0, count: 1 << 24)),
      "is of 2 x 2 pixels, but its data inflate to more than 1048588 bytes"),
    BadFile(
      file(header(depth: 16, colour: 6), rows: [UInt8](repeating: 0, count: 1 << 24)),
      "is of 2 x 2 pixels, but its data inflate to more than 1048644 bytes"),
    BadFile(
      file(extra: (0..<65_536).flatMap { _ in chunk("abCd", []) }),
      "is a PNG of more than 65536 chunks"),
  ]

  @Test("What no pixel depends on is not inflated")
  func texts() throws {
    // A thousand of these would take libpng 8 GB.
    let text = Self.chunk(
      "zTXt", [97, 0, 0] + deflated([UInt8](repeating: 0, count: 7_900_000), gzip: false))
    let bytes = Self.file(extra: (0..<1000).flatMap { _ in text })
    #expect(try PNG.decode(bytes, file: "f").bytes == [1, 2, 3, 255])
  }

  private static let hello = GzipTests.hello

  private static func changed(_ place: Int, _ value: UInt8) -> [UInt8] {
    var bytes = hello
    bytes[place] = value
    return bytes
  }

  static let streams: [BadFile] = [
    BadFile(changed(0, 30), "is a damaged gzip stream: incorrect header check"),
    BadFile(changed(1, 0), "is a damaged gzip stream: incorrect header check"),
    BadFile(changed(2, 0), "is a damaged gzip stream: unknown compression method"),
    BadFile(changed(2, 7), "is a damaged gzip stream: unknown compression method"),
    BadFile(changed(3, 0x20), "is a damaged gzip stream: unknown header flags set"),
    BadFile(changed(3, 0x40), "is a damaged gzip stream: unknown header flags set"),
    BadFile(changed(3, 0x80), "is a damaged gzip stream: unknown header flags set"),
    BadFile(changed(10, 0x07), "is a damaged gzip stream: invalid block type"),
    BadFile(changed(10, 0x01), "is a damaged gzip stream: invalid stored block lengths"),
    BadFile(changed(17, 0), "is a damaged gzip stream: incorrect data check"),
    BadFile(changed(20, 0), "is a damaged gzip stream: incorrect data check"),
    BadFile(changed(21, 4), "is a damaged gzip stream: incorrect length check"),
    BadFile(changed(24, 1), "is a damaged gzip stream: incorrect length check"),
    BadFile("plain text", "is a damaged gzip stream: incorrect header check"),
    BadFile("PK\u{3}\u{4}", "is a damaged gzip stream: incorrect header check"),
    BadFile("BZh9", "is a damaged gzip stream: incorrect header check"),
    BadFile(hello + [0], "has 26 bytes, but its gzip stream ends after 25"),
    BadFile(hello + [0x1F], "has 26 bytes, but its gzip stream ends after 25"),
    BadFile(hello + hello + "x".utf8, "has 51 bytes, but its gzip stream ends after 50"),
    BadFile(
      hello + [0x1F, 0x8B], "ends in the middle of its gzip stream, which inflated to 5 bytes"),
    BadFile(
      hello + hello.dropLast(), "ends in the middle of its gzip stream, which inflated to 10 bytes"),
  ]

  @Test("Bad streams of gzip are refused", arguments: streams)
  func badStreams(_ bad: BadFile) {
    bad.check { try Gzip.inflate($0, limit: 1 << 20, file: $1) }
  }

  static let batches: [BadFile] = [0, 1, 3072, 3074, 6145, 6147, 30_720].map { size in
    BadFile(
      [UInt8](repeating: 0, count: size),
      "is not a batch of CIFAR-10: \(size) bytes are not whole records of 3073")
  }

  static let labels: [BadFile] = [(10, 0), (11, 1), (99, 2), (255, 2)].map { label, record in
    var bytes = [UInt8](repeating: 9, count: 3 * 3073)
    bytes[record * 3073] = UInt8(label)
    return BadFile(bytes, "has the label \(label) in record \(record); 0...9 are known")
  }

  @Test("Bad batches are refused", arguments: batches + labels)
  func badBatches(_ bad: BadFile) { bad.check(CIFAR10.images) }
}

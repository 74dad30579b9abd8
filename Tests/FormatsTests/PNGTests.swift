import CImage
import Testing

@testable import Formats

@Suite struct PNGTests {
  private func decode(_ bytes: [UInt8]) throws -> ByteImages {
    let (width, height, channels, samples) = try PNG.decode(bytes, file: "f")
    return image(width, height, channels, samples)
  }

  private func image(
    _ width: Int, _ height: Int, _ channels: Int, _ bytes: [UInt8]
  ) -> ByteImages {
    ByteImages(count: 1, height: height, width: width, channels: channels, bytes: bytes)
  }

  private func chunk(_ type: String, _ data: [UInt8]) -> [UInt8] {
    func bigEndian(_ n: UInt32) -> [UInt8] { withUnsafeBytes(of: n.bigEndian, Array.init) }
    let checked = Array(type.utf8) + data
    let crc = UInt32(crc32(0, checked, uInt(checked.count)))
    return bigEndian(UInt32(data.count)) + checked + bigEndian(crc)
  }

  /// A PNG file put together by hand. `rows` are the filter type (0: none) and samples of each row.
  private func file(
    _ width: UInt8, _ height: UInt8, depth: UInt8, color: UInt8, rows: [UInt8],
    extra: [UInt8] = []
  ) -> [UInt8] {
    [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]
      + chunk("IHDR", [0, 0, 0, width, 0, 0, 0, height, depth, color, 0, 0, 0]) + extra
      + chunk("IDAT", deflated(rows, gzip: false)) + chunk("IEND", [])
  }

  private func picture(channels: Int) -> (width: Int, height: Int, bytes: [UInt8]) {
    let (width, height) = (19, 13)
    var generator = FixedGenerator(state: UInt64(channels))
    let bytes = (0..<width * height * channels).map { _ in
      UInt8.random(in: 0...255, using: &generator)
    }
    return (width, height, bytes)
  }

  @Test(arguments: [1, 3, 4]) func whatIsEncodedIsDecoded(channels: Int) throws {
    let (width, height, bytes) = picture(channels: channels)
    let encoded = try PNG.encode(width: width, height: height, channels: channels, bytes: bytes)
    let decoded = try decode(encoded)
    #expect(decoded == image(width, height, channels, bytes))
    #expect(
      try PNG.encode(width: width, height: height, channels: channels, bytes: bytes) == encoded)
  }

  @Test func largeIncompressibleImagesFitTheBuffer() throws {
    var generator = FixedGenerator(state: 1)
    for (width, height) in [(1000, 1000), (1, 20000), (20000, 1), (1, 1)] {
      let bytes = (0..<width * height).map { _ in UInt8.random(in: 0...255, using: &generator) }
      let encoded = try PNG.encode(width: width, height: height, channels: 1, bytes: bytes)
      #expect(try decode(encoded).bytes == bytes)
    }
  }

  @Test func readsGrayAndColour() throws {
    let gray = try decode(file(2, 2, depth: 8, color: 0, rows: [0, 1, 2, 0, 3, 255]))
    #expect(gray == image(2, 2, 1, [1, 2, 3, 255]))
    let rgb = try decode(file(1, 2, depth: 8, color: 2, rows: [0, 1, 2, 3, 0, 4, 5, 6]))
    #expect(rgb == image(1, 2, 3, [1, 2, 3, 4, 5, 6]))
    let rgba = try decode(file(1, 1, depth: 8, color: 6, rows: [0, 1, 2, 3, 4]))
    #expect(rgba == image(1, 1, 4, [1, 2, 3, 4]))
  }

  @Test func grayWithTransparencyHasFourChannels() throws {
    let decoded = try decode(file(2, 1, depth: 8, color: 4, rows: [0, 9, 255, 7, 128]))
    #expect(decoded == image(2, 1, 4, [9, 9, 9, 255, 7, 7, 7, 128]))
  }

  @Test func palettesAndFewBitsAreResolved() throws {
    let palette = chunk("PLTE", [1, 2, 3, 4, 5, 6])
    let coloured = file(3, 1, depth: 1, color: 3, rows: [0, 0b0110_0000], extra: palette)
    #expect(try decode(coloured) == image(3, 1, 3, [1, 2, 3, 4, 5, 6, 4, 5, 6]))
    let bits = file(4, 1, depth: 2, color: 0, rows: [0, 0b0001_1011])
    #expect(try decode(bits) == image(4, 1, 1, [0, 85, 170, 255]))
  }

  @Test func sixteenBitsBecomeEight() throws {
    let decoded = try decode(file(3, 1, depth: 16, color: 0, rows: [0, 0, 0, 128, 128, 255, 255]))
    #expect(decoded == image(3, 1, 1, [0, 128, 255]))
  }

  @Test func refusesToEncodeWhatIsNoImage() {
    func encode(_ width: Int, _ height: Int, _ channels: Int, _ count: Int) -> String {
      let bytes = [UInt8](repeating: 0, count: count)
      return problem {
        try PNG.encode(width: width, height: height, channels: channels, bytes: bytes)
      }
    }
    #expect(encode(2, 2, 2, 8).contains("cannot be made: images have 1, 3 or 4 channels"))
    #expect(encode(2, 2, 1, 5) == "PNG of 2 x 2 x 1: cannot be made: 4 bytes expected, 5 given")
    for (width, height) in [(0, 1), (1, 0), (-1, -1), (.max, .max), (1 << 31, 1 << 31)] {
      #expect(encode(width, height, 1, 1).contains("an image has from 1 to 268435456 bytes"))
    }
    // Here it is libpng that refuses.
    #expect(encode(2_000_000, 1, 1, 2_000_000).contains("cannot be made: "))
  }

  @Test func refusesWhatIsNotPNG() {
    let message = "f: is not a PNG: it does not begin with the signature"
    #expect(problem { try decode([]) } == message)
    #expect(problem { try decode(Array("GIF89a".utf8)) } == message)
  }

  @Test func refusesEveryTruncation() throws {
    let (width, height, bytes) = picture(channels: 3)
    let encoded = try PNG.encode(width: width, height: height, channels: 3, bytes: bytes)
    for length in 0..<encoded.count {
      let message = problem { try decode(Array(encoded.prefix(length))) }
      #expect(message.contains(length < 8 ? "is not a PNG" : "is a PNG cut short"))
    }
    let size = encoded.count
    #expect(
      problem { try decode(encoded + [0]) }
        == "f: has \(size + 1) bytes, but its PNG ends after \(size)")
  }

  @Test func refusesEveryFlippedBit() throws {
    let encoded = file(2, 2, depth: 8, color: 0, rows: [0, 1, 2, 0, 3, 255])
    for bit in 0..<8 * encoded.count {
      var flipped = encoded
      flipped[bit / 8] ^= 1 << (bit % 8)
      #expect(problem { try decode(flipped) } != "")
    }
  }

  @Test func libpngsReasonIsInTheError() {
    let short = file(2, 2, depth: 8, color: 0, rows: [0, 1, 2, 0])
    #expect(
      problem { try decode(short) } == "f: is not a PNG that can be read: Not enough image data")
    let depth = file(2, 2, depth: 9, color: 0, rows: [0, 1, 2, 0, 3, 4])
    #expect(
      problem { try decode(depth) } == "f: is not a PNG that can be read: Invalid IHDR data")
  }

  @Test func refusesAHeaderLargerThanTheFileCanHold() {
    func promising(_ dimensions: [UInt8]) -> String {
      let bytes =
        [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]
        + chunk("IHDR", dimensions + [8, 6, 0, 0, 0])
        + chunk("IDAT", deflated([0, 0], gzip: false)) + chunk("IEND", [])
      return problem { try decode(bytes) }
    }
    #expect(promising([0, 0, 0x10, 0, 0, 0, 0x10, 0]).contains("promises 4096 x 4096 x 4 samples"))
    #expect(promising([0, 0x0F, 0, 0, 0, 0x0F, 0, 0]).contains("at most 268435456 are read"))
    #expect(promising([0x7F, 255, 255, 255, 0x7F, 255, 255, 255]).contains("Invalid IHDR data"))
    #expect(promising([0, 0, 0, 0, 0, 0, 0, 0]).contains("Invalid IHDR data"))
  }

  /// Damage inside the chunks with their checksums made right again, so that libpng sees it.
  @Test(arguments: [0, 2, 3, 4, 6] as [UInt8]) func survivesDamage(color: UInt8) {
    let rows = [UInt8](repeating: 0, count: 200)
    let palette: [UInt8] = [1, 2, 3, 4, 5, 6]
    let parts = [
      ("IHDR", [0, 0, 0, 3, 0, 0, 0, 2, 8, color, 0, 0, 0]), ("PLTE", palette),
      ("gAMA", [0, 0, 177, 143]), ("tRNS", [0, 1]), ("IDAT", deflated(rows, gzip: false)),
      ("IEND", []),
    ]
    fuzz(times: 1000, seed: UInt64(color), decode: decode) { generator in
      [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]
        + parts.flatMap { type, data in
          let hit = Int.random(in: 0..<3, using: &generator) == 0
          return chunk(type, hit ? damaged(data, &generator) : data)
        }
    }
    let whole = file(3, 2, depth: 8, color: color, rows: rows, extra: chunk("PLTE", palette))
    fuzz(whole, times: 1000, seed: 5, decode: decode)
  }
}

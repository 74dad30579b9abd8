import Testing

@testable import Formats

@Suite struct APNGTests {
  /// Big-endian, as everything in a PNG.
  private func number(_ bytes: ArraySlice<UInt8>) -> Int {
    bytes.reduce(0) { $0 << 8 | Int($1) }
  }

  @Test(
    "The first frame is the image; every frame's data is that of its PNG", arguments: [1, 3, 4])
  func frames(channels: Int) throws {
    let frames = (0..<3).map { frame in
      (0..<3 * 2 * channels).map { UInt8(40 * frame + $0) }
    }
    let film = try APNG.encode(
      width: 3, height: 2, channels: channels, frames: frames, milliseconds: 80)
    #expect(try PNG.decode(film, file: "f").bytes == frames[0])

    let chunks = PNG.chunks(of: film)
    let kinds = chunks.map(\.type).filter { ["acTL", "fcTL", "IDAT", "fdAT"].contains($0) }
    #expect(kinds == ["acTL", "fcTL", "IDAT", "fcTL", "fdAT", "fcTL", "fdAT"])
    let counts = try #require(chunks.first { $0.type == "acTL" }).content
    #expect(number(counts.prefix(4)) == 3 && number(counts.dropFirst(4)) == 0)
    var sequence = 0
    var frame = 0
    for chunk in chunks where chunk.type == "fcTL" || chunk.type == "fdAT" {
      #expect(number(chunk.content.prefix(4)) == sequence)
      sequence += 1
      if chunk.type == "fcTL" {
        let fields = chunk.content.dropFirst(4)
        #expect(number(fields.prefix(4)) == 3 && number(fields.dropFirst(4).prefix(4)) == 2)
        #expect(number(fields.dropFirst(16).prefix(2)) == 80)
        #expect(number(fields.dropFirst(18).prefix(2)) == 1000)
      } else {
        frame += 1
        let png = try PNG.encode(width: 3, height: 2, channels: channels, bytes: frames[frame])
        let data = try #require(PNG.chunks(of: png).first { $0.type == "IDAT" }).content
        #expect(chunk.content.dropFirst(4).elementsEqual(data))
      }
    }
    #expect(frame == 2)
  }

  @Test("Data in several chunks are numbered on")
  func chunks() throws {
    var generator = FixedGenerator(state: 3)
    let frames = (0..<2).map { _ in
      (0..<40_000).map { _ in UInt8(truncatingIfNeeded: generator.next()) }
    }
    let film = try APNG.encode(
      width: 200, height: 200, channels: 1, frames: frames, milliseconds: 1)
    let chunks = PNG.chunks(of: film)
    #expect(chunks.count { $0.type == "fdAT" } > 1)
    let numbers = chunks.filter { $0.type == "fcTL" || $0.type == "fdAT" }
      .map { number($0.content.prefix(4)) }
    #expect(numbers == Array(0..<numbers.count))
    #expect(try PNG.decode(film, file: "f").bytes == frames[0])
  }

  @Test("What cannot be a film is refused with a sentence")
  func mistakes() {
    func problem(_ frames: [[UInt8]], _ milliseconds: Int = 1) -> String {
      FormatsTests.problem {
        try APNG.encode(
          width: 1, height: 1, channels: 1, frames: frames, milliseconds: milliseconds)
      }
    }
    #expect(problem([]).hasSuffix("cannot be made of 0 images"))
    #expect(problem([[1], [1, 2]]).hasSuffix("1 bytes expected, 2 given"))
    for milliseconds in [-1, 0, 65536] {
      #expect(problem([[1]], milliseconds).hasSuffix("\(milliseconds) ms are not in 1...65535"))
    }
  }
}

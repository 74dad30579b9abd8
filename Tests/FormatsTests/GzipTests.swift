import Testing

@testable import Formats

@Suite struct GzipTests {
  // python3 -c 'import gzip; print(list(gzip.compress(b"hello", mtime=0)))'
  static let hello: [UInt8] = [
    31, 139, 8, 0, 0, 0, 0, 0, 2, 255, 203, 72, 205, 201, 201, 7, 0, 134, 166, 16, 54, 5, 0, 0, 0,
  ]

  private func inflate(_ bytes: [UInt8], limit: Int = 1 << 20) throws -> String {
    String(decoding: try Gzip.inflate(bytes, limit: limit, file: "f"), as: UTF8.self)
  }

  @Test func inflatesWhatOthersHaveCompressed() throws {
    #expect(try inflate(Self.hello) == "hello")
    #expect(try inflate(deflated([])) == "")
  }

  @Test func inflatesAllMembers() throws {
    #expect(try inflate(Self.hello + deflated([]) + Self.hello) == "hellohello")
  }

  @Test func stopsAtTheLimit() throws {
    #expect(try inflate(Self.hello, limit: 3) == "hel")
    #expect(try inflate(Self.hello, limit: 0) == "")
    let bomb = deflated([UInt8](repeating: 0, count: 64 << 20))
    #expect(bomb.count < 70_000)
    #expect(try Gzip.inflate(bomb, limit: 10, file: "f") == [UInt8](repeating: 0, count: 10))
    #expect(try Gzip.inflate(bomb, limit: .max, file: "f").count == 64 << 20)
  }

  @Test(arguments: 0..<25) func refusesAStreamCutShort(length: Int) {
    let message = problem { try inflate(Array(Self.hello.prefix(length))) }
    // Without any bytes there is no stream to be short.
    #expect(length == 0 || message.contains("ends in the middle of its gzip stream"))
  }

  @Test func refusesDamage() {
    var bytes = Self.hello
    bytes[17] ^= 1  // the checksum begins here
    #expect(problem { try inflate(bytes) } == "f: is a damaged gzip stream: incorrect data check")
    bytes = Self.hello
    bytes[21] ^= 1  // the length begins here
    #expect(problem { try inflate(bytes) } == "f: is a damaged gzip stream: incorrect length check")
    bytes = Self.hello
    bytes[10] = 0x07  // a block of the reserved type
    #expect(problem { try inflate(bytes) } == "f: is a damaged gzip stream: invalid block type")
    #expect(problem { try inflate([1, 2, 3]) }.contains("incorrect header check"))
  }

  @Test func refusesWhatFollows() {
    #expect(
      problem { try inflate(Self.hello + [0, 0]) }
        == "f: has 27 bytes, but its gzip stream ends after 25")
  }

  @Test func survivesDamage() {
    let bytes = deflated((0..<5000).map { UInt8(truncatingIfNeeded: $0 * $0 / 7) })
    let refused = fuzz(bytes, times: 4000, seed: 1) {
      try Gzip.inflate($0, limit: 1 << 20, file: "f")
    }
    #expect(refused > 3000)
  }
}

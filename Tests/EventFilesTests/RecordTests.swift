import Testing

@testable import EventFiles

@Suite struct RecordTests {
  /// RFC 3720, appendix B.4; the last is the check value of the catalogue of such codes.
  @Test func checksAreThoseOfTheStandard() {
    #expect(CRC32C.of([UInt8](repeating: 0, count: 32)) == 0x8A91_36AA)
    #expect(CRC32C.of([UInt8](repeating: 0xFF, count: 32)) == 0x62A8_AB43)
    #expect(CRC32C.of(0..<32) == 0x46DD_794E)
    #expect(CRC32C.of((0..<32).reversed()) == 0x113F_DB5C)
    #expect(CRC32C.of(Array("123456789".utf8)) == 0xE306_9283)
    #expect(CRC32C.of([]) == 0)
  }

  // import io; from tensorboard.summary.writer.record_writer import RecordWriter
  // f = io.BytesIO(); RecordWriter(f).write(b"abc"); print(f.getvalue().hex())
  @Test func recordsAreThoseOfTensorBoard() {
    let golden = "0300000000000000b099490e6162636e57f121"
    let bytes = Record.encode(Array("abc".utf8))
    let hex = bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    #expect(hex == golden)
  }
}

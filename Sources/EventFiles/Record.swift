/// A record of a TFRecord file: the length, its check, the content, its check; all numbers with the least
/// significant byte first.
enum Record {
  static func encode(_ content: [UInt8]) -> [UInt8] {
    let length = bytes(UInt64(content.count))
    return length + bytes(CRC32C.masked(of: length)) + content
      + bytes(CRC32C.masked(of: content))
  }

  private static func bytes(_ number: some FixedWidthInteger) -> [UInt8] {
    withUnsafeBytes(of: number.littleEndian, Array.init)
  }
}

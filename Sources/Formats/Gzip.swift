import CImage

/// Files compressed with gzip (RFC 1952), one member or several.
enum Gzip {
  static func recognizes(_ bytes: some Sequence<UInt8>) -> Bool {
    bytes.starts(with: [0x1F, 0x8B])
  }

  /// Above these bytes, files that inflate to more than 200 times their size are not read: only an
  /// attack, or images that are all but blank, are so small.
  private static let trusted = 1 << 24
  private static let largestRatio = 200

  /// Throws `FormatError` if a file of `size` bytes that is to inflate to `inflated` is too small for
  /// that to be sensible, or too large: deflate adds at most 5 bytes to 16 KiB.
  static func check(size: Int, inflatingTo inflated: Int, file: String) throws {
    guard inflated <= max(trusted, largestRatio * size) else {
      throw FormatError(
        file: file,
        problem: "is to inflate from \(size) to \(inflated) bytes; above \(trusted), at most "
          + "\(largestRatio) times a file's size is inflated")
    }
    guard size <= inflated + inflated / 1024 + 1 << 16 else {
      throw FormatError(
        file: file, problem: "has \(size) bytes, but is to inflate to no more than \(inflated)")
    }
  }

  /// What `bytes` inflate to, or the first `limit` bytes of it if it is as long or longer.
  ///
  /// A result shorter than `limit` is the whole, with its checksums verified. Never more than
  /// `limit` bytes are inflated, so ask for one more than you expect.
  ///
  /// Throws `FormatError` if the stream is cut short, damaged, or followed by something else; if
  /// `bytes` are not the whole, but its beginning, only if that is damaged.
  static func inflate(
    _ bytes: [UInt8], isWhole: Bool = true, limit: Int, file: String
  ) throws -> [UInt8] {
    // Two bits of deflate make at most 258 bytes; this keeps a small file from a large buffer.
    let capacity = min(limit, 1032 * bytes.count)
    return try [UInt8](unsafeUninitializedCapacity: capacity) { target, count in
      try bytes.withUnsafeBufferPointer { source in
        try inflate(source, isWhole: isWhole, into: target, &count, file: file)
      }
    }
  }

  /// Inflates until the source ends or the target is full; `count` is the number of bytes made.
  private static func inflate(
    _ source: UnsafeBufferPointer<UInt8>, isWhole: Bool,
    into target: UnsafeMutableBufferPointer<UInt8>, _ count: inout Int, file: String
  ) throws {
    let gzipOnly = 16 + MAX_WBITS
    var stream = z_stream()
    // zlib keeps the stream's address: it has to stay where it is until the end.
    try withUnsafeMutablePointer(to: &stream) { stream in
      guard
        inflateInit2_(stream, gzipOnly, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK
      else { throw FormatError(file: file, problem: "cannot be inflated: zlib does not start") }
      defer { inflateEnd(stream) }

      var read = 0
      while count < target.count {
        // zlib counts in 32 bits: larger files go through in portions.
        let input = UnsafeBufferPointer(rebasing: source[read...])
        let output = UnsafeMutableBufferPointer(rebasing: target[count...])
        stream.pointee.next_in = UnsafeMutablePointer(mutating: input.baseAddress)
        stream.pointee.next_out = output.baseAddress
        let available = (input: uInt(clamping: input.count), output: uInt(clamping: output.count))
        (stream.pointee.avail_in, stream.pointee.avail_out) = available

        let status = CImage.inflate(stream, Z_NO_FLUSH)
        read += Int(available.input - stream.pointee.avail_in)
        count += Int(available.output - stream.pointee.avail_out)

        switch status {
        case Z_OK: continue
        case Z_STREAM_END where read == source.count: return
        case Z_BUF_ERROR where !isWhole: return
        case Z_STREAM_END:
          guard recognizes(source[read...]) else {
            throw FormatError(
              file: file,
              problem: "has \(source.count) bytes, but its gzip stream ends after \(read)")
          }
          inflateReset(stream)
        case Z_BUF_ERROR:
          throw FormatError(
            file: file,
            problem: "ends in the middle of its gzip stream, which inflated to \(count) bytes")
        default:
          let reason = stream.pointee.msg.map { String(cString: $0) } ?? "zlib error \(status)"
          throw FormatError(file: file, problem: "is a damaged gzip stream: \(reason)")
        }
      }
    }
  }
}

import CImage

extension PNG {
  /// Throws `FormatError` if the image data of a whole file with a valid header inflate to much more
  /// than the pixels take: libpng inflates what follows the last of them, too, however much it is.
  static func checkData(of bytes: [UInt8], width: Int, height: Int, file: String) throws {
    // The depth and the colour type in the first chunk, which is the header.
    let samples = [2: 3, 4: 2, 6: 4][bytes[25]] ?? 1
    let row = 1 + (width * samples * Int(bytes[24]) + 7) / 8
    // Interlaced images have more rows, of which each begins with another byte.
    let limit = 2 * height * row + 1 << 20
    let data = chunks(of: bytes).filter { $0.type == "IDAT" }.map(\.content)
    // Two bits of deflate make at most 258 bytes.
    guard 1032 * data.reduce(0, { $0 + $1.count }) > limit else { return }
    guard try inflates(data, to: limit, file: file) else {
      throw FormatError(
        file: file,
        problem: "is of \(width) x \(height) pixels, but its data inflate to more than \(limit) "
          + "bytes")
    }
  }

  /// Whether `data` inflate to no more than `limit` bytes, as far as they can be inflated at all.
  private static func inflates(
    _ data: [ArraySlice<UInt8>], to limit: Int, file: String
  ) throws -> Bool {
    var stream = z_stream()
    // zlib keeps the stream's address: it has to stay where it is until the end.
    return try withUnsafeMutablePointer(to: &stream) { stream in
      guard inflateInit_(stream, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK else {
        throw FormatError(file: file, problem: "cannot be inflated: zlib does not start")
      }
      defer { inflateEnd(stream) }
      var size = 0
      return withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 1 << 16) { target in
        for part in data {
          let isEnd = part.withUnsafeBufferPointer { source in
            stream.pointee.next_in = UnsafeMutablePointer(mutating: source.baseAddress)
            stream.pointee.avail_in = uInt(source.count)
            repeat {
              stream.pointee.next_out = target.baseAddress
              stream.pointee.avail_out = uInt(target.count)
              let status = CImage.inflate(stream, Z_NO_FLUSH)
              size += target.count - Int(stream.pointee.avail_out)
              guard status == Z_OK, size <= limit else { return status != Z_BUF_ERROR }
            } while stream.pointee.avail_in > 0 || stream.pointee.avail_out == 0
            return false
          }
          if isEnd { break }
        }
        return size <= limit
      }
    }
  }
}

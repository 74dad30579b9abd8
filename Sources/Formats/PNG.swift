import CImage

/// PNG images of 8 bits a sample, by libpng's simplified interface: its classic one leaves
/// functions by `longjmp`, which must not cross Swift code.
public enum PNG {
  /// A PNG file of one image: `bytes` is `[height, width, channels]`, with 1 (gray), 3 (RGB) or
  /// 4 (RGB and alpha) channels, in sRGB. The same image always makes the same bytes.
  ///
  /// Throws `FormatError` if sizes and `bytes` do not fit together or libpng refuses.
  public static func encode(
    width: Int, height: Int, channels: Int, bytes: [UInt8]
  ) throws -> [UInt8] {
    let file = "PNG of \(width) x \(height) x \(channels)"
    guard [1, 3, 4].contains(channels) else {
      throw FormatError(file: file, problem: "cannot be made: images have 1, 3 or 4 channels")
    }
    guard
      let columns = UInt32(exactly: width), let rows = UInt32(exactly: height),
      columns > 0, rows > 0, let size = [width, height, channels].checkedProduct,
      size <= sizeLimit
    else {
      throw FormatError(
        file: file, problem: "cannot be made: an image has from 1 to \(sizeLimit) bytes")
    }
    guard bytes.count == size else {
      throw FormatError(
        file: file, problem: "cannot be made: \(size) bytes expected, \(bytes.count) given")
    }

    var image = png_image()
    image.version = png_uint_32(PNG_IMAGE_VERSION)
    image.width = columns
    image.height = rows
    // libpng's formats of bytes are numbered so: gray is 0, RGB 2, RGBA 3.
    image.format = png_uint_32(channels - 1)
    // Deflate adds at most 1/8 and 1/64 to what it cannot compress, and a chunk's frame is 12
    // bytes in 8192: a quarter more, and some for the chunks of the header, is always enough.
    let raw = size + height
    let capacity = raw + raw / 4 + 1024
    return try withUnsafeMutablePointer(to: &image) { image in
      try [UInt8](unsafeUninitializedCapacity: capacity) { target, count in
        var written = png_alloc_size_t(capacity)
        guard
          png_image_write_to_memory(image, target.baseAddress, &written, 0, bytes, 0, nil) != 0
        else { throw FormatError(file: file, problem: "cannot be made: \(message(image))") }
        count = Int(written)
      }
    }
  }

  /// The image in a PNG file; `bytes` is `[height, width, channels]` in sRGB. Gray stays 1 channel;
  /// colour is 3; whatever has transparency, also gray, is 4 (RGB and alpha, not premultiplied).
  /// Palettes are resolved and 16 bits a sample are reduced to 8.
  ///
  /// Throws `FormatError` if the file is not exactly one PNG with every checksum right, or holds
  /// more than `limit` samples.
  public static func decode(
    _ bytes: [UInt8], limit: Int = sizeLimit, file: String
  ) throws -> (width: Int, height: Int, channels: Int, bytes: [UInt8]) {
    let bytes = try essential(bytes, file: file)
    func refused(_ image: UnsafePointer<png_image>) -> FormatError {
      FormatError(file: file, problem: "is not a PNG that can be read: \(message(image))")
    }

    var image = png_image()
    image.version = png_uint_32(PNG_IMAGE_VERSION)
    // libpng keeps both addresses from the first call to the last: neither may move in between.
    return try withUnsafeMutablePointer(to: &image) { image in
      defer { png_image_free(image) }
      return try bytes.withUnsafeBytes { source in
        guard png_image_begin_read_from_memory(image, source.baseAddress, source.count) != 0 else {
          throw refused(image)
        }
        let (width, height) = (Int(image.pointee.width), Int(image.pointee.height))
        let rgb = PNG_FORMAT_FLAG_COLOR
        let rgba = PNG_FORMAT_FLAG_COLOR | PNG_FORMAT_FLAG_ALPHA
        let hasAlpha = image.pointee.format & PNG_FORMAT_FLAG_ALPHA != 0
        image.pointee.format = hasAlpha ? rgba : image.pointee.format & rgb
        let channels = Int(image.pointee.format) + 1
        // A byte holds at most 8 pixels and deflates 1032 to 1: a small file is a small image.
        guard
          let size = [width, height, channels].checkedProduct, size <= limit,
          width * height <= 8 * 1032 * bytes.count
        else {
          throw FormatError(
            file: file,
            problem: "promises \(width) x \(height) x \(channels) samples; at most \(limit) "
              + "are read, and \(bytes.count) bytes hold at most \(8 * 1032 * bytes.count) pixels")
        }
        try checkData(of: bytes, width: width, height: height, file: file)
        // Without this, 16-bit samples that do not name their colour space are taken as linear.
        image.pointee.flags |= png_uint_32(PNG_IMAGE_FLAG_16BIT_sRGB)

        var samples = [UInt8](repeating: 0, count: size)
        guard png_image_finish_read(image, nil, &samples, 0, nil) != 0 else { throw refused(image) }
        return (width, height, channels, samples)
      }
    }
  }

  /// The image in a file of at most 16 MiB, as ``decode(_:limit:file:)`` finds it.
  public static func read(
    _ path: String, limit: Int
  ) throws -> (width: Int, height: Int, channels: Int, bytes: [UInt8]) {
    try decode(File.read(path, limit: 1 << 24), limit: limit, file: path)
  }

  /// Bytes that an image may have.
  public static let sizeLimit = 1 << 28

  static let signature: [UInt8] = [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]

  /// The chunks of a whole file.
  static func chunks(of bytes: [UInt8]) -> [(type: String, content: ArraySlice<UInt8>)] {
    var (chunks, rest) = (
      [(type: String, content: ArraySlice<UInt8>)](), bytes.dropFirst(signature.count)
    )
    while rest.count >= 12 {
      let length = Int(bigEndian(rest.prefix(4)))
      guard length <= rest.count - 12 else { break }
      let type = String(decoding: rest.dropFirst(4).prefix(4), as: UTF8.self)
      chunks.append((type, rest.dropFirst(8).prefix(length)))
      rest = rest.dropFirst(12 + length)
    }
    return chunks
  }

  /// What libpng has last complained about.
  private static func message(_ image: UnsafePointer<png_image>) -> String {
    withUnsafeBytes(of: image.pointee.message) {
      String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
    }
  }

  /// Encoders fill chunks of kilobytes.
  private static let mostChunks = 65_536

  /// Chunks that a decoder may pass over, but that say what pixels mean.
  private static let meaningful = ["tRNS", "gAMA", "cHRM", "sRGB", "iCCP", "sBIT", "bKGD"]
    .map { Array($0.utf8) }

  /// The file without chunks that no pixel depends on: libpng would inflate a thousand texts of 8 MB.
  ///
  /// Follows the chunks (length, type, data, CRC-32 of type and data) from the signature to the
  /// end, which libpng does not: it stops at the last pixel, and would not miss what is missing.
  private static func essential(_ bytes: [UInt8], file: String) throws -> [UInt8] {
    guard bytes.starts(with: signature) else {
      throw Pickle.refusal(of: bytes, file: file)
        ?? FormatError(file: file, problem: "is not a PNG: it does not begin with the signature")
    }
    var kept = signature
    var count = 0
    var rest = bytes[signature.count...]
    var type: ArraySlice<UInt8> = []
    while !type.elementsEqual("IEND".utf8) {
      let length = rest.count >= 12 ? Int(bigEndian(rest.prefix(4))) : 0
      guard rest.count >= 12, length <= min(rest.count - 12, Int(Int32.max)) else {
        throw FormatError(file: file, problem: "is a PNG cut short: it ends before its last chunk")
      }
      count += 1
      guard count <= mostChunks else {
        throw FormatError(file: file, problem: "is a PNG of more than \(mostChunks) chunks")
      }
      let chunk = rest.prefix(12 + length)
      let checked = chunk.dropFirst(4).dropLast(4)
      let crc = checked.withUnsafeBufferPointer { crc32(0, $0.baseAddress, uInt($0.count)) }
      rest = rest.dropFirst(8 + length)
      guard UInt64(crc) == bigEndian(rest.prefix(4)) else {
        throw FormatError(
          file: file,
          problem: "is a damaged PNG: a checksum is wrong before byte \(rest.startIndex)")
      }
      rest = rest.dropFirst(4)
      type = checked.prefix(4)
      // A small first letter marks what may be passed over.
      let isCritical = type.first.map { $0 & 0x20 == 0 } ?? true
      if isCritical || meaningful.contains(where: type.elementsEqual) { kept += chunk }
    }
    guard rest.isEmpty else {
      throw FormatError(
        file: file, problem: "has \(bytes.count) bytes, but its PNG ends after \(rest.startIndex)")
    }
    return kept
  }
}

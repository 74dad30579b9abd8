/// The binary batches of CIFAR-10 (Krizhevsky 2009, "Learning Multiple Layers of Features from Tiny
/// Images"): records of a label, 0...9, and 3072 bytes of an image of 32 x 32, all red ones first,
/// then the green and the blue ones.
public enum CIFAR10 {
  private static let pixels = 32 * 32
  private static let record = 1 + 3 * pixels

  /// The images of a file, with their labels.
  ///
  /// Throws `FormatError` if the file cannot be read, is empty or holds more than 1 GiB, ends within a
  /// record, or has a label beyond 9.
  public static func images(at path: String) throws -> ByteImages {
    try File.read(path, limit: sizeLimit) { size, bytes in
      try check(size, file: path)
      return try images(bytes(0..<size), file: path)
    }
  }

  private static let sizeLimit = 1 << 30

  private static func check(_ size: Int, file: String) throws {
    guard size > 0, size.isMultiple(of: record) else {
      throw FormatError(
        file: file,
        problem: "is not a batch of CIFAR-10: \(size) bytes are not whole records of \(record)")
    }
  }

  static func images(_ records: [UInt8], file: String) throws -> ByteImages {
    try check(records.count, file: file)
    let count = records.count / record
    let labels = (0..<count).map { records[$0 * record] }
    if let place = labels.firstIndex(where: { $0 > 9 }) {
      throw FormatError(
        file: file, problem: "has the label \(labels[place]) in record \(place); 0...9 are known")
    }
    let elements = [UInt8](unsafeUninitializedCapacity: 3 * pixels * count) { target, filled in
      for image in 0..<count {
        for channel in 0..<3 {
          let plane = image * record + 1 + channel * pixels
          for pixel in 0..<pixels {
            target[3 * (image * pixels + pixel) + channel] = records[plane + pixel]
          }
        }
      }
      filled = 3 * pixels * count
    }
    var images = ByteImages(count: count, height: 32, width: 32, channels: 3, bytes: elements)
    images.labels = labels
    return images
  }
}

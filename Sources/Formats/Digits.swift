/// A data set small enough to travel inside the program: handwritten digits of 8 x 8 pixels.
///
/// It is the test part of "Optical Recognition of Handwritten Digits" (E. Alpaydin, C. Kaynak,
/// UCI Machine Learning Repository, 1998, doi:10.24432/C50P49, CC BY 4.0). A pixel of the original
/// counts the dark dots, 0...16, of a 4 x 4 cell; here the counts are rescaled to bytes 0...255.
public enum Digits {
  /// 1797 images `[1797, 8, 8, 1]`, and for each the digit 0...9 that it shows.
  ///
  /// Throws `FormatError` if the data built into the program are damaged.
  public static func load() throws -> (images: ByteImages, labels: [UInt8]) {
    let file = "the built-in digits"
    let csv = try Gzip.inflate(PackageResources.digits_csv_gz, limit: 1 << 20, file: file)
    return try parse(csv, file: file)
  }

  /// A row is 64 pixels 0...16 and a label 0...9, separated by commas.
  static func parse(_ csv: [UInt8], file: String) throws -> (images: ByteImages, labels: [UInt8]) {
    let pixels = 8 * 8
    let rows = csv.split(separator: UInt8(ascii: "\n"))
    var bytes: [UInt8] = []
    var labels: [UInt8] = []
    for (index, row) in rows.enumerated() {
      let fields = row.split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false)
      let numbers = fields.compactMap { UInt8(String(decoding: $0, as: UTF8.self)) }
      guard
        fields.count == pixels + 1, numbers.count == fields.count,
        numbers[..<pixels].allSatisfy({ $0 <= 16 }),
        numbers[pixels] <= 9
      else {
        throw FormatError(
          file: file, problem: "row \(index + 1) is not 64 pixels of 0 to 16 and a label of 0 to 9")
      }
      // p * 255 / 16, to the nearest whole number.
      bytes += numbers[..<pixels].map { UInt8((Int($0) * 255 + 8) / 16) }
      labels.append(numbers[pixels])
    }
    return (
      ByteImages(count: rows.count, height: 8, width: 8, channels: 1, bytes: bytes), labels
    )
  }
}

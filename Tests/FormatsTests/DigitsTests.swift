import Testing

@testable import Formats

@Suite struct DigitsTests {
  @Test func thereAre1797ImagesOfAllDigits() throws {
    let (images, labels) = try Digits.load()
    #expect(images.shape == [1797, 8, 8, 1])
    // zcat digits.csv.gz | awk -F, '{print $65}' | sort | uniq -c
    let counts = (0..<10).map { digit in labels.count { $0 == digit } }
    #expect(counts == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180])
    #expect(labels.prefix(12) == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1])
  }

  /// The first row, and what its counts are in bytes: 16 is 255 and 8 is 127.5, hence 128.
  @Test func theFirstImageIsRescaledToBytes() throws {
    let counts = [
      0, 0, 5, 13, 9, 1, 0, 0,
      0, 0, 13, 15, 10, 15, 5, 0,
      0, 3, 15, 2, 0, 11, 8, 0,
      0, 4, 12, 0, 0, 8, 8, 0,
      0, 5, 8, 0, 0, 9, 8, 0,
      0, 4, 11, 0, 1, 12, 7, 0,
      0, 2, 14, 5, 10, 12, 0, 0,
      0, 0, 6, 13, 10, 0, 0, 0,
    ]
    let bytes: [UInt8] = [
      0, 16, 32, 48, 64, 80, 96, 112, 128, 143, 159, 175, 191, 207, 223, 239, 255,
    ]
    #expect(try Digits.load().images.bytes.prefix(64) == ArraySlice(counts.map { bytes[$0] }))
  }

  @Test func refusesRowsThatAreNotDigits() {
    let row = Array(String(repeating: "16,", count: 64).utf8)
    func parse(_ text: String) -> String {
      problem { try Digits.parse(row + "9\n".utf8 + text.utf8, file: "f") }
    }
    let message = "f: row 2 is not 64 pixels of 0 to 16 and a label of 0 to 9"
    #expect(parse("") == "")
    #expect(parse("1,2,3\n") == message)
    let zeros = String(repeating: "0,", count: 63)
    #expect(parse(zeros + "0,0") == "")
    #expect(parse(zeros + "17,0") == message)
    #expect(parse(zeros + "256,0") == message)
    #expect(parse(zeros + "-1,0") == message)
    #expect(parse(zeros + ",0") == message)
    #expect(parse(zeros + "0,10") == message)
    #expect(parse(zeros + "0,0,") == message)
  }
}

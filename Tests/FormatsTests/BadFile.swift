import Testing

@testable import Formats

/// A file that must be refused, and what is said of it. Sentences are written by hand, from what the
/// format demands.
struct BadFile: Sendable, CustomTestStringConvertible {
  let bytes: [UInt8]
  let sentence: String

  init(_ bytes: [UInt8], _ sentence: String) {
    (self.bytes, self.sentence) = (bytes, sentence)
  }

  init(_ text: String, _ sentence: String) { self.init(Array(text.utf8), sentence) }

  var testDescription: String { "\(bytes.count) bytes: \(sentence)" }

  func check<Value>(_ decode: ([UInt8], String) throws -> Value) {
    #expect(problem { try decode(bytes, "f") } == "f: \(sentence)")
  }
}

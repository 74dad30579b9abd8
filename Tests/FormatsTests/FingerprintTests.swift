import Testing

@testable import Formats

@Suite struct FingerprintTests {
  /// Test vectors of draft-eastlake-fnv, appendix C.
  @Test(arguments: [
    ("", "cbf29ce484222325"), ("a", "af63dc4c8601ec8c"), ("foobar", "85944171f73967e8"),
  ])
  func vectors(text: String, expected: String) {
    var fingerprint = Fingerprint()
    for byte in text.utf8 { fingerprint.add([byte]) }
    #expect(fingerprint.hexadecimal == expected)
    fingerprint = Fingerprint()
    fingerprint.add(Array(text.utf8))
    #expect(fingerprint.hexadecimal == expected)
  }
}

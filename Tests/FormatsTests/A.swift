import Testing
@testable import Formats
@Test func a() { #expect(1 == 1) }

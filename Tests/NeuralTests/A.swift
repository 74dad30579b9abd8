import Testing
@testable import Neural
@Test func a() { #expect(1 == 1) }

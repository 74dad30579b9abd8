import Testing
@testable import DiffuseVAE
@Test func a() { #expect(1 == 1) }

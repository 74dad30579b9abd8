import Testing
@testable import Diffusion
@Test func a() { #expect(1 == 1) }

import Diffusion
import Testing

@Suite("Vector space")
struct VectorSpaceTests {
  @Test("numbers and arrays combine alike")
  func combine() {
    #expect(Double.combine(2, 3, -1, 5) == 1)
    #expect(Double.combine(2, 3, -1, 5, 10, 0.5) == 6)
    #expect([Double].combine(2, [3, 0], -1, [5, 1]) == [1, -1])
    #expect([Double].combine(2, [3, 0], -1, [5, 1], 10, [0.5, 2]) == [6, 19])
  }

  @Test("inner product and norm")
  func dot() {
    #expect(Double.dot(3, -2) == -6)
    #expect([Double].dot([3, 4], [1, -2]) == -5)
    #expect([3.0, 4.0].norm == 5)
    #expect((-2.0).norm == 2)
  }
}

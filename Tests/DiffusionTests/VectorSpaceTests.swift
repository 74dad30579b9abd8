import Testing

@testable import Diffusion

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
    #expect([Double].dots([3, 4], [1, -2]) == [-5] && Double.dots(3, -2) == [-6])
  }

  @Test("scaled by the ratio of two norms, and 0 where the second is 0")
  func scale() {
    #expect([Double].scale([1, -2], byNormOf: [3, 4], over: [0, 2]) == [2.5, -5])
    #expect(Double.scale(3, byNormOf: -4, over: 2) == 6)
    #expect([Double].scale([1, -2], byNormOf: [3, 4], over: [0, 0]) == [0, 0])
  }

  @Test("scaled by an exponential, each element by its own")
  func exponential() {
    let found = [Double].scale([3, -2], byExponentialOf: 2, [0, 0.5])
    #expect(found[0] == 3)
    expect("-2 e", found[1], is: -2 * 2.718281828459045, within: 1e-14)
  }

  @Test("sums of any number of terms")
  func combination() {
    #expect([Double].combination([(2, [3, 0])]) == [6, 0])
    #expect([Double].combination([(2, [3, 0]), (0, [.infinity, 1]), (-1, [5, 1])]) == [1, -1])
  }
}

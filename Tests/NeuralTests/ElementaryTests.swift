import RealModule
import Testing

@testable import Neural

/// Errors against double precision, over every 4 001st float of the range.
@Suite struct ElementaryTests {
  @Test("eˣ is within 1 ulp")
  func exp() {
    var worst = 0.0
    for x in floats(from: 1e-8, to: 87.3) {
      for x in [x, -x] {
        let exact = Double.exp(Double(x))
        worst = max(worst, abs(Double(Elementary.exp(x)) - exact) / Double(Float(exact).ulp))
      }
    }
    #expect(worst <= 1, "\(worst) ulp")
    #expect(Elementary.exp(0) == 1)
    #expect(Elementary.exp(-.infinity) == Elementary.exp(-87.3))
    #expect(Elementary.exp(.infinity).isFinite)
    for nan in [Float.nan, -.nan, .infinity - .infinity, 0 * .infinity] {
      #expect(Elementary.exp(nan).isNaN && Elementary.sigmoid(nan).isNaN)
    }
  }

  @Test("ln x is within 1 ulp away from 1, and within 1e-7 near it")
  func log() {
    var (worst, near) = (0.0, 0.0)
    for x in floats(from: 0x1p-126, to: .greatestFiniteMagnitude) {
      let exact = Double.log(Double(x))
      let error = abs(Double(Elementary.log(x)) - exact)
      if x > 0.5 && x < 2 {
        near = max(near, error)
      } else {
        worst = max(worst, error / Double(Float(exact).ulp))
      }
    }
    #expect(worst <= 1, "\(worst) ulp")
    #expect(near <= 1e-7, "\(near)")
    #expect(Elementary.log(1) == 0)
  }

  @Test(
    "Cosine and sine of a turn's fraction are within 1.1e-7, on the unit circle in every quarter")
  func cosineSine() {
    var worst = 0.0
    for bits in stride(from: UInt64(0), to: 1 << 32, by: 40_009) {
      let (c, s) = Elementary.cosineSine(turn: UInt32(bits))
      let angle = 2 * Double.pi * Double(bits) / 0x1p32
      worst = max(worst, abs(Double(c) - .cos(angle)), abs(Double(s) - .sin(angle)))
    }
    #expect(worst <= 1.1e-7, "\(worst)")
  }

  @Test("Sigmoid and softplus, also where one side of them vanishes")
  func sigmoid() {
    for single in stride(from: Float(-80), through: 80, by: 0.37) {
      let x = Double(single)
      let sigmoid = 1 / (1 + Double.exp(-x))
      #expect(abs(Double(Elementary.sigmoid(single)) - sigmoid) <= 1e-6 * max(sigmoid, 1e-30))
      let softplus = max(x, 0) + Double.log(onePlus: .exp(-abs(x)))
      #expect(abs(Double(Elementary.softplus(single)) - softplus) <= 1e-6 * max(softplus, 0.2))
    }
  }

  private func floats(from low: Float, to high: Float) -> some Sequence<Float> {
    stride(from: low.bitPattern, through: high.bitPattern, by: 4001).lazy.map(
      Float.init(bitPattern:))
  }
}

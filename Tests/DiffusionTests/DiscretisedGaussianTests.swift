import Foundation
import Testing

@testable import Diffusion

@Suite("Discretised Gaussian")
struct DiscretisedGaussianTests {
  @Test("The probabilities of all bytes sum to 1", arguments: [1e-3, 0.01, 0.3, 5])
  func sum(deviation: Double) {
    for mean in [-1.2, -1, -0.3, 0.0039, 0.5, 1, 1.7] {
      let sum = (0...255).reduce(0.0) {
        $0 + exp(logProbability(ofByte: UInt8($1), mean: mean, deviation: deviation))
      }
      expect("mean \(mean)", sum, is: 1, within: 1e-12)
    }
  }

  @Test("A bin's is the density's integral over it", arguments: [0.004, 0.02, 0.4])
  func bins(deviation: Double) {
    for byte: UInt8 in [1, 77, 128, 254] {
      for mean in [-0.99, -0.39, 0.004, 0.99] {
        let centre = 2 * Double(byte) / 255 - 1
        func exponent(_ x: Double) -> Double { -pow((x - mean) / deviation, 2) / 2 }
        // Simpson's rule, relative to the density in the middle, which may be below any number.
        let parts = 20_000
        var integral = 0.0
        for i in 0...parts {
          let x = centre + (2 * Double(i) / Double(parts) - 1) / 255
          let weight: Double = i == 0 || i == parts ? 1 : i.isMultiple(of: 2) ? 2 : 4
          integral += weight * exp(exponent(x) - exponent(centre))
        }
        integral *= 2 / 255 / Double(3 * parts) / deviation / (2 * Double.pi).squareRoot()
        let found = logProbability(ofByte: byte, mean: mean, deviation: deviation)
        let expected = exponent(centre) + log(integral)
        expect(
          "byte \(byte), mean \(mean)", found, is: expected, within: 1e-9 * abs(expected) + 1e-9)
      }
    }
  }

  @Test("Tails follow Mills' ratio", arguments: [0.5, 3, 8, 34, 36, 40, 1e4])
  func tails(a: Double) {
    // (1 - Φ(a))/φ(a) = 1/(a + 1/(a + 2/(a + 3/(a + …)))), Laplace's continued fraction.
    var ratio = a
    for k in (1...2000).reversed() { ratio = a + Double(k) / ratio }
    let expected = -a * a / 2 - log(2 * .pi) / 2 - log(ratio)
    let found = logNormalProbability(from: a, to: .infinity)
    expect("upper", found, is: expected, within: 1e-9 * abs(expected))
    #expect(logNormalProbability(from: -.infinity, to: -a) == found)
  }
}

import Diffusion
import Foundation
import Testing

/// For a network whose first layer is linear in (x, x̂0),
/// Formulation 2 with blocks (W1, W2) is Formulation 1 with (W1, W1 + W2).
@Suite("Formulation")
struct FormulationTests {
  static let hidden = 5
  static let size = 3

  /// Two layers and a dependence on time; its output is taken for x0.
  struct Network {
    var w1: [[Double]]
    var w2: [[Double]]
    var output: [[Double]]

    func callAsFunction(_ x: [Double], _ xHat: [Double], _ level: Level) -> [Double] {
      let h = zip(w1, w2).map { tanh([Double].dot($0, x) + [Double].dot($1, xHat) + level.sigma) }
      return output.map { [Double].dot($0, h) }
    }
  }

  let first: Network
  let second: Network
  let x0: [Double]
  let xHat: [Double]
  let noises: [[Double]]

  init() {
    var numbers = NormalNumbers(state: 2)
    func matrix(_ rows: Int, _ columns: Int) -> [[Double]] {
      (0..<rows).map { _ in numbers.vector(columns) }
    }
    let (w1, w2) = (matrix(Self.hidden, Self.size), matrix(Self.hidden, Self.size))
    let output = matrix(Self.size, Self.hidden)
    second = Network(w1: w1, w2: w2, output: output)
    first = Network(w1: w1, w2: zip(w1, w2).map { .combine(1, $0, 1, $1) }, output: output)
    (x0, xHat) = (numbers.vector(Self.size), numbers.vector(Self.size))
    noises = matrix(11, Self.size)
  }

  @Test("the same samples, by the paper's own reverse process", arguments: [2, 10])
  func samples(steps: Int) throws {
    let levels = try NoiseSchedule(.linear, steps: 1000).levels(count: steps)
    let one = ancestral(
      from: noises[10], through: levels, variance: .large,
      denoise: { first($0, xHat, $1) }, noise: { noises[$0] })

    // Formulation 2 in x, as the paper writes it: x_T ~ N(x̂0, I), the posterior mean gains
    // (1 - c₂) x̂0, and the last step subtracts x̂0.
    var x: [Double] = .combine(1, noises[10], 1, xHat)
    for i in 0..<steps {
      let (level, next) = (levels[i], levels[i + 1])
      let beta = 1 - level.alphaBar / next.alphaBar
      let c1 = next.alphaBar.squareRoot() * beta / (1 - level.alphaBar)
      let c2 = (1 - beta).squareRoot() * (1 - next.alphaBar) / (1 - level.alphaBar)
      let denoised = second(x, xHat, level)
      for d in x.indices {
        x[d] = c1 * denoised[d] + c2 * x[d] + (1 - c2) * xHat[d]
        if next == .clean { x[d] -= xHat[d] } else { x[d] += beta.squareRoot() * noises[i][d] }
      }
    }
    expect("in x", x, is: one, within: 1e-12)
  }
}

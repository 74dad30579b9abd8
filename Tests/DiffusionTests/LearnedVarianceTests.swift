import Foundation
import Testing

@testable import Diffusion

@Suite("Learned variance")
struct LearnedVarianceTests {
  /// The steps of a chain.
  func steps(_ levels: [Level]) -> [LearnedVariance] {
    (0..<levels.count - 1).map { i in
      LearnedVariance(from: levels[i], to: levels[i + 1], after: i > 0 ? levels[i - 1] : nil)
    }
  }

  @Test("Σ is β̃ for v = 0, β for v = 1 and between them geometric, of the chain as it is spaced")
  func ends() throws {
    for count in [2, 10, 1000] {
      let levels = try NoiseSchedule(.cosine, steps: 1000).levels(count: count)
      let steps = steps(levels)
      for (i, learned) in steps.enumerated() {
        let (level, next) = (levels[i], levels[i + 1])
        let beta = 1 - level.alphaBar / next.alphaBar
        expect("β", learned(1), is: beta, within: 1e-9 * beta)
        // β̃ by Bayes' rule, as precisions; into clean data that of the step before.
        if next.variance > 0 {
          let small = 1 / (1 / next.variance + (1 - beta) / beta)
          expect("β̃", learned(0), is: small, within: 1e-9 * small)
          #expect(learned(0) == ReverseVariance.learned(from: level, to: next, uncertainty: .nan))
        } else {
          #expect(learned.low == steps[i - 1].low)
        }
        let middle = (learned(0) * learned(1)).squareRoot()
        expect("v = ½", learned(0.5), is: middle, within: 1e-12 * middle)
        #expect(learned.low <= learned(1) && learned.range >= 0)
      }
    }
    let alone = LearnedVariance(from: Level(timestep: 0, alphaBar: 0.9), to: .clean)
    #expect(alone.range == 0)
    expect("β", alone(0.3), is: 0.1, within: 1e-15)
  }

  @Test("The loss is the divergence of two Gaussians, and of the last step -ln N(x0; x̂0, Σ)")
  func loss() throws {
    let levels = [
      Level(timestep: 2, alphaBar: 0.1), Level(timestep: 1, alphaBar: 0.4),
      Level(timestep: 0, alphaBar: 0.9), .clean,
    ]
    for (i, learned) in steps(levels).enumerated() {
      for v in [-0.5, 0, 0.3, 1, 1.4] {
        for error in [0, 0.2, -1.7] {
          let variance = learned(v)
          let found = learned.loss(v, squaredError: error * error)
          guard i < 2 else {
            let expected = log(2 * .pi * variance) / 2 + error * error / (2 * variance)
            expect("-ln N", found, is: expected, within: 1e-12)
            continue
          }
          // Mean and variance of q by Bayes' rule; p's mean differs by what x0 does.
          let noise = levels[i + 1].variance
          let beta = 1 - levels[i].alphaBar / levels[i + 1].alphaBar
          let posterior = 1 / (1 / noise + (1 - beta) / beta)
          let shift = posterior * levels[i + 1].alpha / noise * error
          let ratio = posterior / variance
          let expected = (ratio - 1 - log(ratio) + shift * shift / variance) / 2
          expect("KL", found, is: expected, within: 1e-12)
        }
      }
    }
  }

  /// The v for which the expected loss is least, by golden sections.
  func best(_ learned: LearnedVariance, _ squaredError: Double) -> Double {
    var (low, high) = (-3.0, 4.0)
    let ratio = (5.0.squareRoot() - 1) / 2
    for _ in 0..<80 {
      let (a, b) = (high - ratio * (high - low), low + ratio * (high - low))
      if learned.loss(a, squaredError: squaredError) < learned.loss(b, squaredError: squaredError) {
        high = b
      } else {
        low = a
      }
    }
    return (low + high) / 2
  }

  @Test(
    "The best v is the analytic variance β̃ + c₁² Var(x0|x), where that lies between β̃ and β",
    arguments: [10, 100])
  func optimum(count: Int) throws {
    let levels = try NoiseSchedule(.linear, steps: 1000).levels(count: count)
    for variance in [0.04, 0.25, 1, 4] {
      let data = GaussianData(variance: variance)
      for (learned, (level, next)) in zip(steps(levels), zip(levels, levels.dropFirst())) {
        let v = best(learned, data.uncertainty(at: level))
        let analytic = ReverseVariance.analytic(
          from: level, to: next, uncertainty: data.uncertainty(at: level))
        // A minimum is only known to the root of the loss's rounding.
        if next.variance > 0, learned.range > 1e-3 {
          expect("Σ", learned(v), is: analytic, within: 1e-5 * analytic)
        }
        // β is exact of N(0, I), and not enough for data that varies more.
        let isBetween = analytic <= learned(1) * (1 + 1e-12)
        #expect(isBetween == (variance <= 1))
      }
    }
  }

  @Test(
    "Reverse variance: the best v leaves NELBO - h(x0) = KL(q(x_T)‖p(x_T)) = 2.2906e-10 at s² = 0.25",
    arguments: [10, 100, 1000])
  func bound(count: Int) throws {
    let levels = try NoiseSchedule(.linear, steps: 1000).levels(count: count)
    let data = GaussianData(variance: 0.25)
    // As in `Coefficients`: parts in 1, x0's deviation and the noise, so that a dot is an expectation.
    let chain = DenoisedChain(
      [0, 0.5, 0], through: levels, dimensions: 1,
      denoise: { zip($0, $1).map { Coefficients.denoise(data, $0, $1) } },
      noise: { _ in [0, 0, 1] })
    let losses = zip(steps(levels), levels).map { learned, level in
      let squaredError = data.uncertainty(at: level)
      // Where the derivative by v vanishes: e^(range v) = known + error e².
      let v = log(learned.known + learned.error * squaredError) / learned.range
      #expect((0...1).contains(v))
      return learned.loss(v, squaredError: squaredError)
    }
    let found = chain.bound(divergences: losses.dropLast()) { estimate in
      let error = [Double].combine(1, [0, 0.5, 0], -1, estimate)
      let squaredError = [Double].dot(error, error)
      expect("e²", squaredError, is: data.uncertainty(at: levels[count - 1]), within: 1e-15)
      return losses[count - 1]
    }
    let entropy = log(2 * .pi * M_E * 0.25) / 2
    expect("NELBO - h", found.total - entropy, is: 2.2906e-10, within: 1e-12)
    let small = chain.bound { ReverseVariance.small(from: $0, to: $1, uncertainty: .nan) }
    #expect(found.prior == small.prior && found.diffusion < small.diffusion)
  }

  @Test(
    "Sampling by v = 0 is small, bit for bit, by v = 1 large, and each element by its own",
    arguments: [1, 2, 10, 100])
  func sampling(count: Int) throws {
    let levels = try NoiseSchedule(.cosine, steps: 1000).levels(count: count)
    let data = GaussianData(mean: 0.3, variance: 0.5)
    var numbers = NormalNumbers(state: 5)
    let start = numbers.vector(3)
    let noises = (0..<count).map { _ in numbers.vector(3) }
    func sample(_ variance: ReverseVariance) -> [Double] {
      ancestral(
        from: start, through: levels, variance: variance, denoise: { data.denoise($0, $1) },
        noise: { noises[$0] })
    }
    func chosen(_ v: [Double]) -> [Double] {
      ancestral(
        from: start, through: levels, estimate: { (data.denoise($0, $1), v) },
        noise: { noises[$0] })
    }
    let (small, large) = (sample(.small), sample(.large))
    #expect(chosen([0, 0, 0]) == small && sample(.learned) == small)
    expect("large", chosen([1, 1, 1]), is: large, within: 1e-12)
    let mixed = chosen([0, 1, 0.5])
    #expect(mixed[0] == small[0])
    expect("large", mixed[1], is: large[1], within: 1e-12)
    #expect(count == 1 || mixed[2] != small[2])
  }

  @Test("Samples by the best v keep the marginal at every level, as analytic does")
  func marginal() throws {
    let levels = try NoiseSchedule(.cosine, steps: 1000).levels(count: 10)
    let data = GaussianData(mean: 0.6, variance: 0.25)
    for last in 1..<10 {
      let part = Array(levels[...last])
      let found = Coefficients.moments(
        ancestral(from: Coefficients.start(steps: last), through: part) { x, level in
          let next = levels[(levels.firstIndex(of: level) ?? 0) + 1]
          let learned = LearnedVariance(from: level, to: next)
          let v = log(1 + learned.error * data.uncertainty(at: level)) / learned.range
          return (Coefficients.denoise(data, x, level), x.map { _ in v })
        } noise: {
          Coefficients.noise($0, steps: last)
        })
      expect("v at \(last)", found.variance, is: data.variance(at: levels[last]), within: 1e-7)
    }
  }
}

import Diffusion
import Foundation
import Testing

@Suite("Loss weights")
struct LossWeightTests {
  static let pairs = PredictionTarget.allCases.flatMap { target in
    LossWeight.allCases.map { (target, $0) }
  }

  /// The weight at ᾱ, after one where less is noise.
  func value(
    _ weight: LossWeight, _ alphaBar: Double, after before: Double = 1, gamma: Double = 5
  ) -> Double {
    weight.value(
      at: Level(timestep: 1, alphaBar: alphaBar), after: Level(timestep: 0, alphaBar: before),
      gamma: gamma)
  }

  @Test(
    "the weights of x0's error at ᾱ = 0.3, after ᾱ = 0.5",
    arguments: [
      (LossWeight.noise, 0.428571), (.original, 1), (.velocity, 1.428571), (.score, 0.612245),
      (.variationalBound, 0.285714), (.minimumSNR, 0.428571), (.truncatedSNR, 1),
      (.p2, 0.3), (.edm, 4.428571),
    ])
  func printed(weight: LossWeight, expected: Double) {
    expect(
      "\(weight)", value(weight, 0.3, after: 0.5, gamma: weight.usualGamma), is: expected,
      within: 5e-7)
  }

  @Test("γ, the two sides of SNR = γ and of SNR = 1, and the first term of vlb")
  func sides() {
    expect("min(SNR, 0.25)", value(.minimumSNR, 0.3, gamma: 0.25), is: 0.25, within: 0)
    expect("min(9, 5)", value(.minimumSNR, 0.9), is: 5, within: 1e-14)
    expect("max(9, 1)", value(.truncatedSNR, 0.9), is: 9, within: 1e-13)
    expect("SNR/√(1 + SNR)", value(.p2, 0.3, gamma: 0.5), is: 0.358569, within: 5e-7)
    expect("p2 with γ = 0", value(.p2, 0.3, gamma: 0), is: 0.3 / 0.7, within: 1e-14)
    expect("½ SNR", value(.variationalBound, 0.9), is: 4.5, within: 1e-13)
  }

  @Test("edm is Karras et al.'s (σ² + σ_data²)/(σ σ_data)² in σ/α", arguments: [0.99, 0.3, 0.01])
  func edm(alphaBar: Double) {
    let (sigma, data) = (((1 - alphaBar) / alphaBar).squareRoot(), 0.5)
    let expected = (sigma * sigma + data * data) / pow(sigma * data, 2)
    expect("λ(σ)", value(.edm, alphaBar), is: expected, within: 1e-13 * expected)
  }

  @Test("vlb adds up to the first SNR but for half of the last: the sum telescopes")
  func telescopes() throws {
    let schedule = try NoiseSchedule(.cosine, steps: 100)
    let sum = LossWeight.variationalBound.factors(
      of: .original, along: schedule, gamma: 0, limit: .infinity
    ).reduce(0, +)
    let expected = schedule.level(0).snr - schedule.level(99).snr / 2
    expect("Σ", sum, is: expected, within: 1e-10 * expected)
  }

  @Test(
    "all 4 × 9 pairs: the factor times the output's squared error is the weight times x0's",
    arguments: pairs)
  func all(target: PredictionTarget, weight: LossWeight) {
    typealias Targets = PredictionTargetTests
    let (x0, noise, mistake, gamma) = (-0.73, 1.9, 0.41, 0.7)
    for alphaBar in [0.999, 0.9, 0.5, 0.3, 0.1, 1e-2, 1e-3] {
      let level = Level(timestep: 0, alphaBar: alphaBar)
      let before = (1 + alphaBar) / 2
      let x = level.alpha * x0 + level.sigma * noise
      let output = Targets.value(target, x0: x0, noise: noise, at: level) + mistake
      let said = Targets.estimates(target, output: output, x: x, at: level)
      let original = pow(said.x0 - x0, 2)
      /// The squared error in the space of another target.
      func error(in space: PredictionTarget) -> Double {
        let difference =
          Targets.value(space, x0: said.x0, noise: said.noise, at: level)
          - Targets.value(space, x0: x0, noise: noise, at: level)
        return difference * difference
      }
      let ratio = alphaBar / (1 - alphaBar)
      let expected =
        switch weight {
        case .noise: error(in: .noise)
        case .original: original
        case .velocity: error(in: .velocity)
        case .score: error(in: .score)
        case .variationalBound: (before / (1 - before) - ratio) / 2 * original
        case .minimumSNR: (ratio < gamma ? ratio : gamma) * original
        case .truncatedSNR: max(error(in: .noise), original)
        case .p2: error(in: .noise) / pow(1 + ratio, gamma)
        case .edm: error(in: .noise) + 4 * original
        }
      let factor =
        value(weight, alphaBar, after: before, gamma: gamma) * target.originalError(at: level)
      expect("ᾱ = \(alphaBar)", factor * mistake * mistake, is: expected, within: 1e-8 * expected)
    }
  }

  @Test("along a schedule factors are those, clipped at 400, 1/σ² at σ = 0.05", arguments: pairs)
  func limit(target: PredictionTarget, weight: LossWeight) throws {
    let schedule = try NoiseSchedule(.linear, steps: 1000)
    let factors = weight.factors(of: target, along: schedule, gamma: 2)
    #expect(factors.count == 1000)
    for (t, factor) in factors.enumerated() {
      let level = schedule.level(t)
      let before = t > 0 ? schedule.level(t - 1) : .clean
      let all =
        weight.value(at: level, after: before, gamma: 2) * target.originalError(at: level)
      expect("t = \(t)", factor, is: all < 400 ? all : 400, within: 1e-12 * all)
    }
    guard target == .original, weight == .velocity else { return }
    #expect(factors.firstIndex { $0 < 400 } == (0..<1000).first { schedule.level($0).sigma > 0.05 })
  }

  @Test("Between timesteps the factors are continuous, but for vlb; at them they are the same")
  func between() throws {
    let schedule = try NoiseSchedule(.cosine, steps: 50)
    for (target, weight) in Self.pairs where weight != .variationalBound {
      let factors = weight.factors(of: target, along: schedule, gamma: 2)
      func factor(_ t: Double) -> Double {
        weight.factor(of: target, along: schedule, at: t, gamma: 2)
      }
      for t in [0, 1, 20, 48, 49] {
        expect("\(target) \(weight)", factor(Double(t)), is: factors[t], within: 1e-12 * factors[t])
      }
      let (low, middle, high) = (factors[20], factor(20.5), factors[21])
      #expect(min(low, high) <= middle && middle <= max(low, high), "\(target) \(weight)")
    }
  }

  @Test(
    "vlb in continuous time: of Gaussian data the diffusion term is ½ ln (1+s² SNR_1)/(1+s² SNR_T)",
    arguments: [(ScheduleKind.linear, 1.0), (.cosine, 0.25), (.varianceExploding, 0.01)])
  func continuousBound(kind: ScheduleKind, variance: Double) throws {
    let schedule = try NoiseSchedule(kind, steps: 200)
    var sum = 0.0
    for t in 0..<schedule.steps - 1 {
      // Gauss and Legendre's rule of five places, in sixteen parts between two timesteps.
      for (place, share) in [
        (0.0, 128.0 / 225), (0.538469310105683, 0.478628670499366),
        (-0.538469310105683, 0.478628670499366), (0.906179845938664, 0.236926885056189),
        (-0.906179845938664, 0.236926885056189),
      ] {
        for part in 0..<16 {
          let time = Double(t) + (Double(part) + (1 + place) / 2) / 16
          let error = variance / (1 + variance * schedule.level(timestep: time).snr)
          sum +=
            share / 32 * error
            * LossWeight.variationalBound.factor(
              of: .original, along: schedule, at: time, gamma: 0, limit: .infinity)
        }
      }
    }
    let (first, last) = (schedule.level(0).snr, schedule.level(199).snr)
    let expected = 0.5 * log((1 + variance * first) / (1 + variance * last))
    expect("nats", sum, is: expected, within: 1e-9 * expected)
  }

  @Test(
    "floors: the exact denoiser's mean loss over t, for every target; no other goes below",
    arguments: [
      (1.0, [0.275513, 0.724487, 1.0]),
      (0.25, [0.173053, 0.206737, 0.379790]),
      (0.01, [0.041431, 0.009586, 0.051017]),
    ], PredictionTarget.allCases)
  func floors(data: (variance: Double, floors: [Double]), target: PredictionTarget) throws {
    let schedule = try NoiseSchedule(.linear, steps: 1000)
    for (weight, expected) in zip([LossWeight.noise, .original, .velocity], data.floors) {
      let factors = weight.factors(of: target, along: schedule, gamma: 5, limit: .infinity)
      /// Of a denoiser that answers x with that much more than the exact one.
      func loss(excess: Double) -> Double {
        (0..<schedule.steps).reduce(0.0) { sum, t in
          let level = schedule.level(t)
          let (a, s) = (level.alpha, level.sigma)

          // E(c₀ x0 + c₁ ε - k x)², k = Cov(c₀ x0 + c₁ ε, x)/Var(x) if exact.
          let c =
            switch target {
            case .noise: (0.0, 1.0)
            case .original: (1.0, 0.0)
            case .velocity: (-s, a)
            case .score: (0.0, -1 / s)
            }
          let v = a * a * data.variance + s * s
          let k = (c.0 * a * data.variance + c.1 * s) / v + excess
          let error = pow(c.0 - k * a, 2) * data.variance + pow(c.1 - k * s, 2)
          return sum + factors[t] * error / 1000
        }
      }
      let floor = loss(excess: 0)
      expect("\(target) in \(weight)", floor, is: expected, within: 5e-7)
      for excess in [-1, -0.1, -0.001, 0.001, 0.1] {
        let other = loss(excess: excess)
        #expect(other > floor, "\(target) in \(weight), \(excess) off: \(other) not above \(floor)")
      }
    }
  }

  @Test(
    "NCSN: the least denoising score matching loss is ½ D s²/(σ²(s²+σ²)), for every target",
    arguments: PredictionTarget.allCases)
  func scoreMatching(target: PredictionTarget) {
    let (dimensions, variance) = (3.0, 0.25)
    for sigma in [0.01, 0.3, 1, 50] {
      // With σ/α for σ the sample is x/α, whose score is α times that of x.
      let alphaBar = 1 / (1 + sigma * sigma)
      let level = Level(timestep: 0, alphaBar: alphaBar)
      let c = target.coefficients(at: level)
      let v = alphaBar * variance + 1 - alphaBar
      let covariance = c.original * level.alpha * variance + c.noise * level.sigma
      let least =
        c.original * c.original * variance + c.noise * c.noise - covariance * covariance / v
      let factor = value(.score, alphaBar) * target.originalError(at: level)
      let found = 0.5 * dimensions * alphaBar * factor * least
      let expected =
        0.5 * dimensions * variance / (sigma * sigma * (variance + sigma * sigma))
      expect("σ = \(sigma)", found, is: expected, within: 1e-6 * expected)
    }
  }
}

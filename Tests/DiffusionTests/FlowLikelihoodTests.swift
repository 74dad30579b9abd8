import Foundation
import Testing

@testable import Diffusion

@Suite("Probability-flow likelihood")
struct FlowLikelihoodTests {
  static let first = level(noiseShare: 1e-3)
  static let last = level(noiseShare: 1 - 1e-8)

  /// `ln N(x; mean, variance)`
  func logNormal(_ x: Double, _ mean: Double, _ variance: Double) -> Double {
    -(log(2 * .pi * variance) + (x - mean) * (x - mean) / variance) / 2
  }

  @Test("Probability-flow likelihood: equals log N(x; m, s²)", arguments: [0.25, 1, 4])
  func gaussian(variance: Double) {
    let data = GaussianData(mean: 0.6, variance: variance)
    for x in [-1.4, 0.3, 1.7] {
      let found = flowLogDensity(
        of: x, from: Self.first, to: Self.last, steps: 400, dimensions: 1,
        level: level(noiseShare:)
      ) {
        (data.denoise($0, $1), [data.gain(at: $1)])
      }
      let expected = logNormal(
        x, Self.first.alpha * data.mean, data.variance(at: Self.first))
      expect("ln p(\(x))", found[0], is: expected, within: 1e-7)
      // Of the data itself, as far as the first level's noise of 1e-3 allows.
      expect("ln p(\(x))", found[0], is: logNormal(x, data.mean, variance), within: 0.02)
    }
  }

  /// Gaussians along axes that are turned: the product of two reflections' eigenvectors.
  struct Rotated {
    let axes: [[Double]]
    let parts: [GaussianData]

    init() {
      let (u, v) = ([2.0 / 3, -1.0 / 3, 2.0 / 3], [0.6, 0.8, 0.0])
      axes = (0..<3).map { i in
        var axis = [0.0, 0, 0]
        axis[i] = 1
        for w in [u, v] { axis = .combine(1, axis, -2 * [Double].dot(w, axis), w) }
        return axis
      }
      parts = [
        GaussianData(mean: 0.6, variance: 0.04), GaussianData(mean: -1, variance: 1),
        GaussianData(mean: 0.2, variance: 4),
      ]
    }

    func turned(_ x: [Double]) -> [Double] { axes.map { [Double].dot($0, x) } }

    func back(_ y: [Double]) -> [Double] {
      (0..<3).map { i in zip(axes, y).reduce(0) { $0 + $1.0[i] * $1.1 } }
    }

    func denoise(_ x: [Double], _ level: Level) -> [Double] {
      back(zip(parts, turned(x)).map { $0.denoise($1, level) })
    }

    /// `vᵀ J`; J is symmetric.
    func product(_ v: [Double], _ level: Level) -> [Double] {
      back(zip(parts, turned(v)).map { $0.gain(at: level) * $1 })
    }

    func trace(_ level: Level) -> Double { parts.reduce(0) { $0 + $1.gain(at: level) } }
  }

  @Test("Probability-flow likelihood: equals log N(x; m, C) of a rotated Gaussian")
  func rotated() {
    let data = Rotated()
    let x = [0.9, -0.4, 1.6]
    let found = flowLogDensity(
      of: x, from: Self.first, to: Self.last, steps: 400, dimensions: 3, level: level(noiseShare:)
    ) {
      (data.denoise($0, $1), [data.trace($1)])
    }
    let expected = zip(data.parts, data.turned(x)).reduce(0.0) {
      let (part, y) = $1
      return $0 + logNormal(y, Self.first.alpha * part.mean, part.variance(at: Self.first))
    }
    expect("ln p", found[0], is: expected, within: 1e-6)
  }

  @Test("Hutchinson's estimate is unbiased: the mean over all signs is that by the exact trace")
  func hutchinson() {
    let data = Rotated()
    func logDensity(_ trace: (Level) -> Double) -> Double {
      flowLogDensity(
        of: [0.9, -0.4, 1.6], from: Self.first, to: Self.last, steps: 30, dimensions: 3,
        level: level(noiseShare:)
      ) {
        (data.denoise($0, $1), [trace($1)])
      }[0]
    }
    let estimates = (0..<8).map { signs in
      let v: [Double] = (0..<3).map { signs >> $0 & 1 == 0 ? 1.0 : -1 }
      return logDensity { [Double].dot(data.product(v, $0), v) }
    }
    let mean = estimates.reduce(0, +) / 8
    expect("mean", mean, is: logDensity { data.trace($0) }, within: 1e-10)
    #expect(estimates.contains { abs($0 - mean) > 0.1 })
  }

  /// `∂E[x0|x]/∂x = α/σ² Var(x0|x)`, by the parts' means and variances given x.
  func slope(_ data: MixtureData, _ x: Double, _ level: Level) -> Double {
    let mean = data.denoise(x, level)
    let terms = zip(data.weights, data.parts).map { weight, part in
      let density =
        weight
        * exp(
          logNormal(x, level.alpha * part.mean, part.variance(at: level)))
      let own = part.denoise(x, level) - mean
      let variance = part.variance * level.variance / part.variance(at: level)
      return (density, variance + own * own)
    }
    let sum = terms.reduce(0) { $0 + $1.0 }
    return level.alpha / level.variance * terms.reduce(0) { $0 + $1.0 * $1.1 } / sum
  }

  func mixtureDensity(
    _ x: Double, from first: Level, steps: Int, inLambda: Bool = false
  ) -> Double {
    let data = SolverTests.mixture
    return flowLogDensity(
      of: x, from: first, to: Self.last, steps: steps, dimensions: 1, inLambda: inLambda,
      level: level(noiseShare:)
    ) {
      (data.denoise($0, $1), [slope(data, $0, $1)])
    }[0]
  }

  func exactDensity(_ x: Double, at level: Level) -> Double {
    log(
      zip(SolverTests.mixture.weights, SolverTests.mixture.parts).reduce(0) {
        $0 + $1.0 * exp(logNormal(x, level.alpha * $1.1.mean, $1.1.variance(at: level)))
      })
  }

  @Test("Probability-flow likelihood: equals the density of two components")
  func mixture() {
    for x in [-1.6, -0.9, -0.1, 0.4, 0.8, 1.3] {
      let found = mixtureDensity(x, from: Self.first, steps: 400)
      expect("ln p(\(x))", found, is: exactDensity(x, at: Self.first), within: 1e-6)
    }
  }

  @Test("In steps of λ: the same density; an error of ε grows over α, and does no harm")
  func inLambda() throws {
    for x in [-1.6, -0.1, 1.3] {
      let found = mixtureDensity(x, from: Self.first, steps: 800, inLambda: true)
      expect("ln p(\(x))", found, is: exactDensity(x, at: Self.first), within: 1e-6)
    }
    let (data, schedule) = (GaussianData(variance: 0.25), try NoiseSchedule(.cosine, steps: 1000))
    /// ε is off by a hundredth of x, and so x0 by a hundredth of x σ/α.
    func density(steps: Int, inLambda: Bool) -> Double {
      flowLogDensity(
        of: 0.5, from: schedule.level(0), to: schedule.level(999), steps: steps, dimensions: 1,
        inLambda: inLambda, level: schedule.level(noiseShare:)
      ) {
        let error = 0.01 * $1.sigma / $1.alpha
        return (data.denoise($0, $1) + error * $0, [data.gain(at: $1) + error])
      }[0]
    }
    let limit = density(steps: 20_000, inLambda: false)
    expect("25 steps", density(steps: 25, inLambda: true), is: limit, within: 2e-3)
    #expect(abs(density(steps: 25, inLambda: false) - limit) > 10)
  }

  @Test("Its order is 4")
  func order() {
    let first = level(noiseShare: 0.05)
    let errors = [40, 80].map { steps in
      [-1.6, -0.9, 0.4, 1.3].reduce(0.0) {
        let found = mixtureDensity($1, from: first, steps: steps)
        return $0 + pow(found - exactDensity($1, at: first), 2)
      }
    }
    expect("order", log2(errors[0] / errors[1]) / 2, is: 4, within: 0.3)
  }

  @Test("Samples of a batch are each alone, and every slope is asked once")
  func batch() {
    struct Batch: Vector {
      var samples: [Double]
      static func combine(_ a: Double, _ x: Batch, _ b: Double, _ y: Batch) -> Batch {
        Batch(samples: .combine(a, x.samples, b, y.samples))
      }
      static func dot(_ x: Batch, _ y: Batch) -> Double {
        [Double].dot(x.samples, y.samples)
      }
      static func dots(_ x: Batch, _ y: Batch) -> [Double] {
        zip(x.samples, y.samples).map(*)
      }
      static func scale(_ x: Batch, byExponentialOf a: Double, _ y: Batch) -> Batch {
        Batch(samples: .scale(x.samples, byExponentialOf: a, y.samples))
      }
    }
    let data = SolverTests.mixture
    let samples = [-1.6, 0.4, 1.3]
    var count = 0
    let found = flowLogDensity(
      of: Batch(samples: samples), from: Self.first, to: Self.last, steps: 25, dimensions: 1,
      level: level(noiseShare:)
    ) { x, level in
      count += 1
      return (
        Batch(samples: x.samples.map { data.denoise($0, level) }),
        x.samples.map { slope(data, $0, level) }
      )
    }
    #expect(count == 100)
    for (x, found) in zip(samples, found) {
      expect("ln p(\(x))", found, is: mixtureDensity(x, from: Self.first, steps: 25), within: 1e-12)
    }
  }

  /// Both have the entropy for Gaussian data and the divergence of x_T from N(0, I), which is all
  /// that is between them and the entropy: for the bound that is so with the analytic variance, for
  /// the flow always.
  @Test(
    "ELBO and flow agree on Gaussian data to 1e-4 bits a dimension", arguments: [0.25, 1, 4])
  func agreement(variance: Double) throws {
    let data = GaussianData(mean: 0.3, variance: variance)
    let schedule = try NoiseSchedule(.linear, steps: 1000)
    let bounds = VariationalBoundTests()
    let bound = bounds.chain(data, try schedule.levels(count: 1000))
      .bound(variance: bounds.analytic(data)).total
    // Of a quadratic the mean over N(m, s²) is that over m ± s. The flow is that of the schedule but
    // for where it starts: with almost no noise, so that it is the data's own density.
    let flow = [-1.0, 1].reduce(0.0) { sum, sign in
      let x = data.mean + sign * variance.squareRoot()
      return sum - flowLogDensity(
        of: x, from: level(noiseShare: 1e-6), to: schedule.level(999), steps: 200, dimensions: 1,
        level: level(noiseShare:)
      ) {
        (data.denoise($0, $1), [data.gain(at: $1)])
      }[0] / 2
    }
    expect("bits", bound / log(2), is: flow / log(2), within: 1e-5)
    let last = schedule.level(999)
    let v = data.variance(at: last)
    let gap = (v + last.alphaBar * data.mean * data.mean - 1 - log(v)) / 2
    expect("flow", flow - bounds.entropy(data), is: gap, within: 2e-6)
    expect("bound", bound - bounds.entropy(data), is: gap, within: 1e-11)
  }
}

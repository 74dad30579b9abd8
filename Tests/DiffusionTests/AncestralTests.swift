import Foundation
import Testing

@testable import Diffusion

@Suite("Ancestral sampler")
struct AncestralTests {
  /// Exact mean and variance of what the sampler returns for Gaussian data.
  func moments(_ data: GaussianData, _ levels: [Level], _ variance: ReverseVariance)
    -> (mean: Double, variance: Double)
  {
    let steps = levels.count - 1
    return Coefficients.moments(
      ancestral(
        from: Coefficients.start(steps: steps), through: levels, variance: variance,
        uncertainty: data.uncertainty, denoise: { Coefficients.denoise(data, $0, $1) },
        noise: { Coefficients.noise($0, steps: steps) }))
  }

  @Test(
    "s = 1, small: the printed standard deviations",
    arguments: [(10, 0.7217), (25, 0.8641), (50, 0.9247), (100, 0.9596), (1000, 0.9955)])
  func small(steps: Int, expected: Double) throws {
    let levels = try NoiseSchedule(.linear, steps: 1000).levels(count: steps)
    let found = moments(GaussianData(), levels, .small)
    expect("std", found.variance.squareRoot(), is: expected, within: 5e-5)
    #expect(found.mean == 0)
  }

  @Test("s = 1, large: the chain keeps N(0, 1) and ends at √ᾱ_1 = 0.9999", arguments: [1, 10, 100])
  func large(steps: Int) throws {
    let schedule = try NoiseSchedule(.linear, steps: 1000)
    let levels = try schedule.levels(count: steps)
    let found = moments(GaussianData(), levels, .large)
    let last = levels[steps - 1]
    expect("std", found.variance.squareRoot(), is: last.alpha, within: 1e-12)
    if steps > 1 { expect("std", found.variance.squareRoot(), is: 0.9999, within: 5e-5) }
  }

  @Test(
    "any mean and variance: v ← k²v + σ², by Bayes' rule for two Gaussians",
    arguments: ReverseVariance.allCases, [Spacing.uniform, .quadratic])
  func recursion(variance: ReverseVariance, spacing: Spacing) throws {
    for data in [
      GaussianData(mean: 0.6, variance: 0.25), GaussianData(mean: -1.5, variance: 4),
    ] {
      for steps in [1, 2, 10, 100] {
        let levels = try NoiseSchedule(.cosine, steps: 500).levels(count: steps, spacing: spacing)
        var (mean, v) = (0.0, 1.0)
        for (level, next) in zip(levels, levels.dropFirst()) {
          // E[x0 | x], by the precisions of the prior N(m, s²) and of x = α x0 + σ ε.
          let precision = 1 / data.variance + level.snr
          let gain = level.alpha / (1 - level.alphaBar) / precision
          let constant = data.mean / data.variance / precision
          guard next != .clean else {
            (mean, v) = (gain * mean + constant, gain * gain * v)
            continue
          }
          // x' | x, x0, by the precisions of N(α' x0, σ'²) and of x = r x' + √β z.
          let r = level.alpha / next.alpha
          let beta = 1 - r * r
          let posterior = 1 / (1 / next.variance + r * r / beta)
          let (toX0, toX) = (posterior * next.alpha / next.variance, posterior * r / beta)
          let k = toX + toX0 * gain
          mean = k * mean + toX0 * constant
          let added =
            switch variance {
            case .small, .learned: posterior
            case .large: beta
            case .analytic: posterior + toX0 * toX0 / precision
            }
          v = k * k * v + added
        }
        let found = moments(data, levels, variance)
        expect("mean in \(steps) steps", found.mean, is: mean, within: 1e-10)
        expect("variance in \(steps) steps", found.variance, is: v, within: 1e-10)
      }
    }
  }

  @Test(
    "analytic keeps the marginal at every level, in any number of steps", arguments: [2, 10, 100])
  func marginal(steps: Int) throws {
    let levels = try NoiseSchedule(.cosine, steps: 1000).levels(count: steps)
    for data in [GaussianData(variance: 0.25), GaussianData(variance: 4)] {
      for last in 1..<steps {
        let found = moments(data, Array(levels[...last]), .analytic)
        expect("v at \(last)", found.variance, is: data.variance(at: levels[last]), within: 1e-7)
      }
      // The last step returns the mean of x0, which varies less than x0 by what it leaves open.
      let clean = moments(data, levels, .analytic)
      let expected = data.variance - data.uncertainty(at: levels[steps - 1])
      expect("variance", clean.variance, is: expected, within: 1e-7)
    }
  }

  @Test("analytic is small where x0 is known, and large of N(0, I)")
  func extremes() throws {
    let levels = try NoiseSchedule(.cosine, steps: 1000).levels(count: 10)
    func sample(_ variance: ReverseVariance, _ uncertainty: (Level) -> Double) -> Double {
      ancestral(
        from: 0.7, through: levels, variance: variance, uncertainty: uncertainty,
        denoise: { GaussianData().denoise($0, $1) }, noise: { Double($0) - 4.5 })
    }
    #expect(sample(.analytic) { _ in 0 } == sample(.small) { _ in .nan })
    expect(
      "x0", sample(.analytic, GaussianData().uncertainty), is: sample(.large) { _ in .nan },
      within: 1e-12)
  }

  /// NELBO - h(x0) of a chain through these levels whose steps have that variance, per dimension; the
  /// last one has that which the mean of x0 leaves.
  func excess(_ data: GaussianData, _ levels: [Level], _ variance: ReverseVariance) -> Double {
    let first = levels[0]
    var sum = 0.5 * (first.alphaBar * (data.variance - 1) - log(first.variance))
    for (level, next) in zip(levels, levels.dropFirst()) where next != .clean {
      let uncertainty = data.uncertainty(at: level)
      let step = Transition(
        ancestralFrom: level, to: next, variance: variance, uncertainty: uncertainty)
      // KL of q(x' | x, x0), of variance β̃, from that step, whose mean lacks c₁ (x0 - E[x0 | x]).
      let r = level.alphaBar / next.alphaBar
      let posterior = (1 - next.alphaBar) / (1 - level.alphaBar) * (1 - r)
      let missed = posterior + step.original * step.original * uncertainty
      let added = step.noise * step.noise
      sum += 0.5 * (log(added / posterior) + missed / added - 1)
    }
    return sum + 0.5 * log(data.uncertainty(at: levels[levels.count - 2]) / data.variance)
  }

  @Test(
    "reverse variance: analytic makes NELBO - h(x0) = KL(q(x_T)‖p(x_T)) = 2.2906e-10 at s² = 0.25",
    arguments: [10, 100, 1000])
  func analyticBound(steps: Int) throws {
    let levels = try NoiseSchedule(.linear, steps: 1000).levels(count: steps)
    let data = GaussianData(variance: 0.25)
    let found = excess(data, levels, .analytic)
    expect("NELBO - h", found, is: 2.2906e-10, within: 1e-12)
    let v = data.variance(at: levels[0])
    expect("NELBO - h", found, is: 0.5 * (v - 1 - log(v)), within: 1e-12)
  }

  @Test(
    "reverse variance: large leaves 0.102229, 0.010906, 0.001092 at s² = 0.25, and nothing at s² = 1",
    arguments: [(10, 0.102229), (100, 0.010906), (1000, 0.001092)])
  func largeBound(steps: Int, expected: Double) throws {
    let levels = try NoiseSchedule(.linear, steps: 1000).levels(count: steps)
    let found = excess(GaussianData(variance: 0.25), levels, .large)
    expect("NELBO - h", found, is: expected, within: 5e-7)
    expect("at s² = 1", excess(GaussianData(), levels, .large), is: 0, within: 1e-12)
  }

  @Test("reverse variance: small leaves 0.464892 at T = 1000, s² = 1")
  func smallBound() throws {
    let levels = try NoiseSchedule(.linear, steps: 1000).levels(count: 1000)
    expect("NELBO - h", excess(GaussianData(), levels, .small), is: 0.464892, within: 5e-7)
  }

  @Test("samples have that mean and variance within four standard errors")
  func samples() throws {
    let data = GaussianData(mean: 0.6, variance: 0.25)
    let levels = try NoiseSchedule(.linear, steps: 1000).levels(count: 10)
    let exact = moments(data, levels, .large)
    let count = 4000
    var numbers = NormalNumbers(state: 1)
    let found = ancestral(
      from: numbers.vector(count), through: levels, variance: .large,
      denoise: { data.denoise($0, $1) }, noise: { _ in numbers.vector(count) })
    let n = Double(count)
    let mean = found.reduce(0, +) / n
    let variance = found.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / (n - 1)
    expect("mean", mean, is: exact.mean, within: 4 * (exact.variance / n).squareRoot())
    expect(
      "variance", variance, is: exact.variance, within: 4 * exact.variance * (2 / n).squareRoot())
  }

  @Test("noise is drawn once for each step but the last", arguments: ReverseVariance.allCases)
  func draws(variance: ReverseVariance) throws {
    let levels = try NoiseSchedule(.linear, steps: 1000).levels(count: 5)
    var (visited, drawn): ([Level], [Int]) = ([], [])
    _ = ancestral(from: 0.3, through: levels, variance: variance) { x, level in
      visited.append(level)
      return x
    } noise: { step in
      drawn.append(step)
      return 0.1
    }
    #expect(visited == Array(levels.dropLast()))
    #expect(drawn == [0, 1, 2, 3])
  }

  @Test("an error of the denoiser or of the noise is the sampler's")
  func errors() throws {
    struct Failure: Error {}
    let levels = try NoiseSchedule(.linear, steps: 10).levels(count: 3)
    #expect(throws: Failure.self) {
      try ancestral(
        from: 0.0, through: levels, variance: .small, denoise: { _, _ in throw Failure() },
        noise: { _ in 0 })
    }
    #expect(throws: Failure.self) {
      try ancestral(
        from: 0.0, through: levels, variance: .small, denoise: { x, _ in x },
        noise: { _ in throw Failure() })
    }
  }
}

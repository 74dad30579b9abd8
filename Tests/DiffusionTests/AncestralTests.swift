import Diffusion
import Testing

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
        denoise: { Coefficients.denoise(data, $0, $1) },
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
          v = k * k * v + (variance == .small ? posterior : beta)
        }
        let found = moments(data, levels, variance)
        expect("mean in \(steps) steps", found.mean, is: mean, within: 1e-10)
        expect("variance in \(steps) steps", found.variance, is: v, within: 1e-10)
      }
    }
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

import Foundation
import Testing

@testable import Diffusion

@Suite("Variational bound")
struct VariationalBoundTests {
  /// The three terms for Gaussian data, exactly: as in `Coefficients` the elements of a vector are
  /// its parts in 1, x0's deviation and the noise, so that a squared norm is an expectation.
  func chain(_ data: GaussianData, _ levels: [Level]) -> DenoisedChain<[Double]> {
    DenoisedChain(
      [data.mean, data.variance.squareRoot(), 0], through: levels, dimensions: 1,
      denoise: { zip($0, $1).map { Coefficients.denoise(data, $0, $1) } },
      noise: { _ in [0, 0, 1] })
  }

  /// `½ ln 2πe s²`
  func entropy(_ data: GaussianData) -> Double { log(2 * .pi * M_E * data.variance) / 2 }

  /// `Var(x0|x) = s²/(1 + s² SNR)`
  func posterior(_ data: GaussianData, _ level: Level) -> Double {
    data.variance / (1 + data.variance * level.snr)
  }

  /// A variance that does not ask how sure the denoiser is.
  func known(_ variance: ReverseVariance) -> (Level, Level) -> Double {
    { variance(from: $0, to: $1, uncertainty: .nan) }
  }

  func analytic(_ data: GaussianData) -> (Level, Level) -> Double {
    { ReverseVariance.analytic(from: $0, to: $1, uncertainty: posterior(data, $0)) }
  }

  @Test("Diffusion ELBO in three terms: the printed ones, linear, T = 1000, s² = 1")
  func threeTerms() throws {
    let levels = try NoiseSchedule(.linear, steps: 1000).levels(count: 1000)
    let data = GaussianData()
    let bound = chain(data, levels).bound(variance: known(.small))
    expect("prior", bound.prior, is: 2.017956e-5, within: 5e-12)
    expect("diffusion", bound.diffusion, is: 5.070042, within: 5e-7)
    expect("reconstruction", bound.reconstruction, is: -3.186233, within: 2e-6)
    expect("total", bound.total, is: 1.883831, within: 2e-6)
    expect("entropy", bound.total - entropy(data), is: 0.464892, within: 1e-6)
  }

  @Test(
    "Diffusion ELBO in three terms: their closed forms, for any mean, variance and schedule",
    arguments: ScheduleKind.allCases, [7, 300])
  func closedForms(kind: ScheduleKind, steps: Int) throws {
    let levels = try NoiseSchedule(kind, steps: 300).levels(count: steps)
    for data in [GaussianData(mean: 0.6, variance: 0.25), GaussianData(mean: -2, variance: 3)] {
      let bound = chain(data, levels).bound {
        $1 == .clean ? posterior(data, $0) : known(.small)($0, $1)
      }
      let (first, last) = (levels[0], levels[steps - 1])
      let square = data.variance + data.mean * data.mean
      let prior = (first.alphaBar * square - first.alphaBar - log(1 - first.alphaBar)) / 2
      expect("prior", bound.prior, is: prior, within: 1e-12)
      let terms = zip(levels, levels.dropFirst().dropLast()).map { level, next in
        (next.snr - level.snr) * posterior(data, level) / 2
      }
      expect("diffusion", bound.diffusion, is: terms.reduce(0, +), within: 1e-9)
      let reconstruction = log(2 * .pi * M_E * posterior(data, last)) / 2
      expect("reconstruction", bound.reconstruction, is: reconstruction, within: 1e-9)
    }
  }

  @Test(
    "Reverse variance: the analytic one leaves KL(q(x_T) ‖ p(x_T)), for any number of steps",
    arguments: [10, 100, 1000])
  func analyticVariance(steps: Int) throws {
    let data = GaussianData(variance: 0.25)
    let levels = try NoiseSchedule(.linear, steps: 1000).levels(count: steps)
    let bound = chain(data, levels).bound(variance: analytic(data))
    expect("gap", bound.total - entropy(data), is: 2.2906e-10, within: 3e-13)
  }

  @Test(
    "Reverse variance: large is exact at s² = 1, and leaves the printed gaps at s² = 0.25",
    arguments: [(10, 0.102229), (100, 0.010906), (1000, 0.001092)])
  func largeVariance(steps: Int, gap: Double) throws {
    let levels = try NoiseSchedule(.linear, steps: 1000).levels(count: steps)
    for (variance, expected) in [(1.0, 0.0), (0.25, gap)] {
      let data = GaussianData(variance: variance)
      let bound = chain(data, levels).bound(variance: known(.large))
      expect("gap at s² = \(variance)", bound.total - entropy(data), is: expected, within: 5.1e-7)
    }
  }

  @Test("Reverse variance: a divergence is that of two Gaussians, whatever their variances")
  func divergence() throws {
    let levels = [Level(timestep: 1, alphaBar: 0.3), Level(timestep: 0, alphaBar: 0.8), .clean]
    let (x0, x, noise) = ([0.7, -0.4], [0.1, 0.9], [0.5, -1.5])
    for variance in [0.01, 0.3, 2] {
      let bound = DenoisedChain(x0, through: levels, dimensions: 2) { samples, _ in
        samples.map { _ in x }
      } noise: { _ in
        noise
      }.bound { _, next in next == .clean ? 1 : variance }
      // Means and variance of q(x'|x, x0) by Bayes' rule, as precisions.
      let beta = 1 - 0.3 / 0.8
      let posterior = 1 / (1 / 0.2 + (1 - beta) / beta)
      let expected = (0..<2).reduce(0.0) { sum, i in
        let shift = posterior * 0.8.squareRoot() / 0.2 * (x[i] - x0[i])
        let ratio = posterior / variance
        return sum + (ratio - 1 - log(ratio) + shift * shift / variance) / 2
      }
      expect("variance \(variance)", bound.diffusion, is: expected, within: 1e-12)
    }
  }

  @Test("Samples are α x0 + σ ε at the levels of the steps and at the last one with noise")
  func samples() throws {
    let levels = try NoiseSchedule(.cosine, steps: 40).levels(count: 40)
    let steps = [ChainStep(index: 3, weight: 1), ChainStep(index: 20, weight: 2)]
    let visited = [levels[3], levels[20], levels[39]]
    let chain = DenoisedChain(0.7, through: levels, steps: steps, dimensions: 1) { x, asked in
      #expect(asked == visited)
      for (i, (x, level)) in zip(x, visited).enumerated() {
        expect("x", x, is: level.alpha * 0.7 + level.sigma * Double(i + 1), within: 1e-15)
      }
      return [0.7, 0.2, 1.1]
    } noise: {
      Double($0 + 1)
    }
    let bound = chain.bound(variance: known(.small)) { mean, variance in
      expect("mean", mean, is: 1.1, within: 0)
      expect("variance", variance, is: 1 - levels[39].alphaBar, within: 1e-15)
      return 9
    }
    // The first step's error is 0, the second's 0.5 and counts twice.
    let diffusion = (levels[21].snr - levels[20].snr) * 0.25
    expect("diffusion", bound.diffusion, is: diffusion, within: 1e-12)
    #expect(bound.reconstruction == 9)
  }

  @Test("Steps are drawn so that in expectation each counts once", arguments: [1, 4])
  func unbiased(count: Int) throws {
    let levels = try NoiseSchedule(.cosine, steps: 12).levels(count: 12)
    let trials = 40_000
    var sums = [Double](repeating: 0, count: 11)
    for trial in 0..<trials {
      let steps = ChainStep.drawn(from: levels, count: count) { _ in
        (Double(trial) + 0.5) / Double(trials)
      }
      #expect(steps.count == count)
      for step in steps { sums[step.index] += step.weight / Double(trials) }
    }
    // The midpoint rule errs by less than a point of each step's ends.
    for (index, sum) in sums.enumerated() { expect("step \(index)", sum, is: 1, within: 0.02) }
  }

  @Test("Steps are all there are, once each, if as many are drawn")
  func allSteps() throws {
    let levels = try NoiseSchedule(.cosine, steps: 30).levels(count: 30)
    for count in [29, 30, .max] {
      let steps = ChainStep.drawn(from: levels, count: count) { _ in 0.5 }
      #expect(steps == (0..<29).map { ChainStep(index: $0, weight: 1) })
    }
    #expect(ChainStep.drawn(from: [levels[0], .clean], count: 5) { _ in 0.5 }.isEmpty)
  }

  @Test("Ten of 999 steps estimate the bound: within four standard errors, of 3 % at most")
  func fewSteps() throws {
    let levels = try NoiseSchedule(.linear, steps: 1000).levels(count: 1000)
    var numbers = NormalNumbers(state: 4)
    for variance in [1, 0.05] {
      let data = GaussianData(mean: 0.3, variance: variance)
      let exact = chain(data, levels).bound(variance: known(.small))
      let estimates = (0..<200).map { _ in
        let steps = ChainStep.drawn(from: levels, count: 10) { _ in numbers.uniform() }
        return DenoisedChain(
          [data.mean, data.variance.squareRoot(), 0], through: levels, steps: steps, dimensions: 1,
          denoise: { zip($0, $1).map { Coefficients.denoise(data, $0, $1) } },
          noise: { _ in [0, 0, 1] }
        ).bound(variance: known(.small)).diffusion
      }
      let mean = estimates.reduce(0, +) / 200
      let spread = estimates.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / 199
      expect(
        "diffusion", mean, is: exact.diffusion, within: 4 * (spread / 200).squareRoot() + 1e-3)
      #expect(spread.squareRoot() < 0.03 * exact.diffusion)
    }
  }
}

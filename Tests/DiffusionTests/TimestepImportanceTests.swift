import Foundation
import Testing

@testable import Diffusion

@Suite("Importance sampling of timesteps")
struct TimestepImportanceTests {
  /// One that has seen these losses, each of them ten times at its timestep.
  func known(_ losses: [Double]) -> TimestepImportance {
    var importance = TimestepImportance(steps: losses.count)
    for _ in 0..<10 {
      importance.learn(losses.enumerated().map { TimestepLoss(timestep: $0, loss: $1) })
    }
    return importance
  }

  /// Of Gaussian data and the exact denoiser at each timestep: a term of the variational bound is
  /// `w Var(x0|x) z²` with z of N(0, 1). Its mean, and the root of its mean square, which is √3 times
  /// that.
  func terms(_ variance: Double, _ schedule: NoiseSchedule) -> [(mean: Double, root: Double)] {
    (0..<schedule.steps).map { t in
      let level = schedule.level(t)
      let weight = LossWeight.variationalBound.value(
        at: level, after: t > 0 ? schedule.level(t - 1) : .clean, gamma: 0)
      let mean = weight * GaussianData(variance: variance).uncertainty(at: level)
      return (mean, 3.0.squareRoot() * mean)
    }
  }

  @Test("All timesteps are equally likely until each has ten draws, whatever their losses")
  func beginning() {
    var importance = TimestepImportance(steps: 4)
    for _ in 0..<9 {
      importance.learn((0..<4).map { TimestepLoss(timestep: $0, loss: Double($0)) })
      importance.learn([TimestepLoss(timestep: 2, loss: 7)])
    }
    for t in 0..<4 {
      #expect(importance.probability(of: t) == 0.25 && importance.factor(of: t) == 1)
      #expect(importance.timestep(at: Double(t) / 4) == t)
    }
    importance.learn([0, 1].map { TimestepLoss(timestep: $0, loss: 3) })
    #expect(!importance.isKnown)
    importance.learn([TimestepLoss(timestep: 3, loss: 3)])
    #expect(importance.isKnown)
  }

  @Test("p_t is the closed form, by the terms of the bound for Gaussians", arguments: [1, 0.04])
  func closedForm(variance: Double) throws {
    let terms = terms(variance, try NoiseSchedule(.linear, steps: 1000))
    let importance = known(terms.map(\.root))
    // ½ (SNR' - SNR) s²/(1 + s² SNR) and ½ SNR s²/(1 + s² SNR) of the first timestep.
    let schedule = try NoiseSchedule(.linear, steps: 1000)
    let expected = (0..<1000).map { t in
      let snr = schedule.level(t).snr
      return (t > 0 ? schedule.level(t - 1).snr - snr : snr) * variance / (1 + variance * snr) / 2
    }
    let sum = expected.reduce(0, +)
    for t in 0..<1000 {
      let share = 0.999 * expected[t] / sum + 0.001 / 1000
      expect("p_\(t)", importance.probability(of: t), is: share, within: 1e-6 * share)
    }
  }

  @Test("Unbiased: the expectation of the weighted loss is the mean over t, whatever was learnt")
  func unbiased() throws {
    var numbers = NormalNumbers(state: 3)
    for learnt in [
      [Double](repeating: 1, count: 50), (0..<50).map { _ in exp(3 * numbers.next()) },
      (0..<50).map { $0 == 7 ? 1 : 0 }, [Double](repeating: 1e30, count: 50),
    ] {
      let importance = known(learnt)
      #expect(importance.isKnown)
      let losses = (0..<50).map { _ in exp(numbers.next()) }
      let found = (0..<50).reduce(0.0) {
        $0 + importance.probability(of: $1) * importance.factor(of: $1) * losses[$1]
      }
      expect("E", found, is: losses.reduce(0, +) / 50, within: 1e-12)
      let whole = (0..<50).reduce(0.0) { $0 + importance.probability(of: $1) }
      expect("Σ p", whole, is: 1, within: 1e-12)
    }
  }

  @Test(
    "Variance of the estimated bound: less than by uniform draws, and the least there can be",
    arguments: [1, 0.04])
  func variance(variance: Double) throws {
    let terms = terms(variance, try NoiseSchedule(.linear, steps: 1000))
    let importance = known(terms.map(\.root))
    let mean = terms.reduce(0) { $0 + $1.mean } / 1000
    /// `Σ p_t E[L_t²]/(T p_t)² - (Σ E[L_t]/T)²`
    func spread(_ p: (Int) -> Double) -> Double {
      terms.enumerated().reduce(0) { sum, term in
        sum + pow(term.element.root / 1000, 2) / p(term.offset)
      } - mean * mean
    }
    let (found, uniform) = (spread(importance.probability), spread { _ in 1e-3 })
    // By the inequality of Cauchy and Schwarz; the share that stays uniform costs its own size.
    let least = pow(terms.reduce(0) { $0 + $1.root } / 1000, 2) - mean * mean
    #expect(found >= least && found < 1.002 * least, "\(found), least \(least)")
    #expect(found < uniform / 40, "\(found), uniform \(uniform)")
  }

  @Test("Draws at equal distances fall on each timestep as often as is likely")
  func draws() {
    let importance = known([0.3, 0, 5, 1e-4, 2, 0.3])
    let count = 100_000
    var found = [Int](repeating: 0, count: 6)
    for i in 0..<count {
      found[importance.timestep(at: (Double(i) + 0.5) / Double(count))] += 1
    }
    for t in 0..<6 {
      #expect(abs(Double(found[t]) - Double(count) * importance.probability(of: t)) <= 1)
    }
    #expect(importance.timestep(at: 0) == 0 && importance.timestep(at: 1.0.nextDown) == 5)
  }

  @Test("Ten draws are a mean; each further one counts a tenth")
  func memory() {
    var importance = TimestepImportance(steps: 1)
    for loss in 1...10 { importance.learn([TimestepLoss(timestep: 0, loss: Double(loss))]) }
    // 1² + … + 10² = 385
    expect("mean", Double(importance.state[0]), is: 38.5, within: 1e-5)
    for _ in 0..<7 { importance.learn([TimestepLoss(timestep: 0, loss: 2)]) }
    expect(
      "mean", Double(importance.state[0]), is: 4 + 34.5 * pow(0.9, 7), within: 1e-5)
  }

  @Test("What it knows can be set again; no number makes it fail")
  func state() {
    let whole = known([1, 4, 2])
    var copy = TimestepImportance(steps: 3)
    copy.state = whole.state
    #expect(copy == whole && copy.state.count == 6)
    let (big, odd) = (Float.greatestFiniteMagnitude, [Float.infinity, .nan, -1])
    for state in [
      [big, big, big, 10, 10, 10], odd + [10, 10, 10], odd + odd, [0, 0, 0, 10, 10, 10],
      [1, 1, 1, -1, -2, 1e30],
    ] {
      copy.state = state
      for loss in [0, 1e300, .nan, .infinity] {
        copy.learn((0..<3).map { TimestepLoss(timestep: $0, loss: loss) })
      }
      for place in [0, 0.5, 1.0.nextDown] { #expect((0..<3).contains(copy.timestep(at: place))) }
      for t in 0..<3 {
        #expect(copy.factor(of: t).isFinite && copy.factor(of: t) > 0, "\(state)")
      }
    }
  }
}

import Diffusion
import Foundation
import Testing

@Suite("VE / VP / sub-VP SDE")
struct SDETests {
  static let data = GaussianData(mean: 0.6, variance: 0.25)

  /// Mean and variance of x where the forward process has gone from t = 0 in so many steps of
  /// Euler–Maruyama, `x + f x Δ + g √Δ z`.
  func forward(_ sde: SDE, to end: Double, steps: Int) -> (mean: Double, variance: Double) {
    let step = end / Double(steps)
    // The variance-exploding process has a deviation of 0.01 from the beginning.
    var (mean, v) = (Self.data.mean, Self.data.variance + pow(sde.sigma(at: 0), 2))
    for i in 0..<steps {
      let t = Double(i) * step
      let k = 1 + sde.drift(at: t) * step
      (mean, v) = (k * mean, k * k * v + pow(sde.diffusion(at: t), 2) * step)
    }
    return (mean, v)
  }

  @Test(
    "the forward simulation's mean and variance tend to the closed form, order 1",
    arguments: SDE.allCases, [0.3, 1])
  func simulation(sde: SDE, end: Double) {
    let alpha = sde.alpha(at: end)
    let mean = alpha * Self.data.mean
    let variance = alpha * alpha * Self.data.variance + pow(sde.sigma(at: end), 2)
    let errors = [2000, 4000].map { steps in
      let found = forward(sde, to: end, steps: steps)
      return (mean: found.mean - mean, variance: found.variance - variance)
    }
    expect("mean", mean + errors[1].mean, is: mean, within: 2e-3)
    expect("variance", variance + errors[1].variance, is: variance, within: 5e-3 * variance)
    expect(
      "order of the variance", log2(errors[0].variance / errors[1].variance), is: 1, within: 0.02)
    if sde != .varianceExploding {
      expect("order of the mean", log2(errors[0].mean / errors[1].mean), is: 1, within: 0.02)
    }
  }

  @Test("printed ends: VP's and sub-VP's ∫β is 10.05, VE's σ goes from 0.01 to 50")
  func ends() {
    for sde in [SDE.variancePreserving, .subVariancePreserving] {
      expect("α(1)", sde.alpha(at: 1), is: exp(-5.025), within: 1e-15)
      #expect(sde.alpha(at: 0) == 1 && sde.sigma(at: 0) == 0)
    }
    expect("VP's σ(1)", SDE.variancePreserving.sigma(at: 1), is: 0.99997841, within: 5e-9)
    expect("sub-VP's σ(1)", SDE.subVariancePreserving.sigma(at: 1), is: 0.99995681, within: 5e-9)
    expect("VE's σ(0)", SDE.varianceExploding.sigma(at: 0), is: 0.01, within: 1e-15)
    expect("VE's σ(½)", SDE.varianceExploding.sigma(at: 0.5), is: 0.5.squareRoot(), within: 1e-12)
    expect("VE's σ(1)", SDE.varianceExploding.sigma(at: 1), is: 50, within: 1e-12)
  }

  @Test("VP's discretisation becomes DDPM's: β(t) Δ and its ᾱ as Δ → 0, order 1")
  func ddpm() throws {
    func errors(_ T: Int) throws -> (beta: Double, alphaBar: Double) {
      let schedule = try NoiseSchedule(.linear, steps: T)
      var (beta, alphaBar) = (0.0, 0.0)
      for i in 1..<T {
        // g² Δ, the variance that a step of the simulation adds, against 1 - ᾱ/ᾱ'.
        let t = Double(i + 1) / Double(T)
        let chain = 1 - schedule.alphaBar[i] / schedule.alphaBar[i - 1]
        let g = SDE.variancePreserving.diffusion(at: t)
        beta = max(beta, abs(chain * Double(T) - g * g))
        alphaBar = max(
          alphaBar, abs(schedule.alphaBar[i] - SDE.variancePreserving.alphaBar(at: t)))
      }
      return (beta, alphaBar)
    }
    let (coarse, fine) = (try errors(1000), try errors(2000))
    expect("T β at T = 2000", fine.beta, is: 0, within: 0.01)
    expect("ᾱ at T = 2000", fine.alphaBar, is: 0, within: 1e-3)
    expect("order of ᾱ", log2(coarse.alphaBar / fine.alphaBar), is: 1, within: 0.02)
    expect("order of β", log2(coarse.beta / fine.beta), is: 1, within: 0.02)
    // A step's factor of x, 1 - βΔ/2 against √(1 - β), differs by β²/8.
    let step = 1 / 2000.0
    let k = 1 + SDE.variancePreserving.drift(at: 1) * step
    expect("factor of x", k, is: (1 - 20 * step).squareRoot(), within: pow(20 * step, 2) / 7)
  }

  @Test(
    "reverse Euler–Maruyama of VP follows v ← (1+βΔ(½-1/v))² v + βΔ, and so does the sampler as Δ → 0",
    arguments: [0.25, 1, 4])
  func reverse(variance: Double) {
    let data = GaussianData(variance: variance)
    let sde = SDE.variancePreserving
    func marginal(_ t: Double) -> Double {
      pow(sde.alpha(at: t), 2) * variance + pow(sde.sigma(at: t), 2)
    }
    func difference(_ steps: Int) -> Double {
      // From t = 1 to 0.1, backwards: x - (f x - g² s) Δ + g √Δ z with the score s = -x/v(t).
      let step = 0.9 / Double(steps)
      let times = (0...steps).map { 1 - Double($0) * step }
      var (simulated, recursion) = (1.0, 1.0)
      for t in times.dropLast() {
        let (f, g) = (sde.drift(at: t), sde.diffusion(at: t))
        let k = 1 - (f + g * g / marginal(t)) * step
        simulated = k * k * simulated + g * g * step
        let beta = (0.1 + 19.9 * t) * step
        recursion = pow(1 + beta * (0.5 - 1 / marginal(t)), 2) * recursion + beta
      }
      expect("v in \(steps) steps", simulated, is: recursion, within: 1e-12)
      let sampled = Coefficients.moments(
        eulerMaruyama(
          from: Coefficients.start(steps: steps),
          through: times.map { Level(timestep: 0, alphaBar: sde.alphaBar(at: $0)) },
          denoise: { Coefficients.denoise(data, $0, $1) },
          noise: { Coefficients.noise($0, steps: steps) }))
      return abs(sampled.variance - simulated)
    }
    let (coarse, fine) = (difference(300), difference(600))
    expect("the sampler's v at Δ = 0.0015", fine, is: 0, within: 3e-2)
    #expect(fine < 0.6 * coarse, "\(coarse) in 300 steps, \(fine) in 600")
  }

  @Test(
    "x/√(α²+σ²) is at the level of the schedule, its mean and variance for Gaussian data, too",
    arguments: [
      (ScheduleKind.varianceExploding, SDE.varianceExploding),
      (.subVariancePreserving, .subVariancePreserving),
    ],
    [1, 2, 20, 1000])
  func levels(pair: (kind: ScheduleKind, sde: SDE), T: Int) throws {
    let schedule = try NoiseSchedule(pair.kind, steps: T)
    for i in 0..<T {
      let t =
        pair.sde == .varianceExploding && T > 1
        ? Double(i) / Double(T - 1) : Double(i + 1) / Double(T)
      let (alpha, sigma) = (pair.sde.alpha(at: t), pair.sde.sigma(at: t))
      let (level, scale) = (schedule.level(i), (alpha * alpha + sigma * sigma).squareRoot())
      expect("α at \(i)", level.alpha, is: alpha / scale, within: 1e-14)
      expect("σ at \(i)", level.sigma, is: sigma / scale, within: 1e-7 * sigma / scale)
      let v = alpha * alpha * Self.data.variance + sigma * sigma
      expect(
        "v at \(i)", Self.data.variance(at: level), is: v / (scale * scale), within: 1e-14)
    }
  }
}
